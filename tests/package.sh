# shellcheck shell=bash
# Build the artifact, install it into an empty folder, and harden and audit a lab clinic from there.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
unset ANSIBLE_CONFIG
export RADIOLOGY_LAB=package
export ANSIBLE_COLLECTIONS_PATH=$work/collections
export ANSIBLE_INVENTORY_ENABLED=radiology.hardening.clinic,ansible.builtin.yaml
export ANSIBLE_VAULT_PASSWORD_FILE=$root/molecule/resources/vault_password.py
trap 'python "$root/molecule/resources/lab.py" down --name "$RADIOLOGY_LAB"; rm -rf "$work"' EXIT
wants() { python -c "import json, sys; report = json.load(open('reports/dmz-practice/report.json')); sys.exit(not ($1))"; }

ansible-galaxy collection build --output-path "$work" .
ansible-galaxy collection install --no-deps --collections-path "$work/collections" "$work"/radiology-hardening-*.tar.gz
python molecule/resources/lab.py up --name "$RADIOLOGY_LAB" --inventory "$work/inventory" \
  --hosts attacker,box-1,pacs-1,ct-1,laptop-1

mkdir "$work/empty"
cd "$work/empty"
if ansible-playbook -i "$work/inventory" radiology.hardening.audit; then exit 1; fi
wants "report['verdict'] == 'fail' and report['counts']['fail'] >= 20"
ansible-playbook -i "$work/inventory" radiology.hardening.site
wants "report['verdict'] == 'pass' and report['counts']['pass'] >= 40"
test -s reports/dmz-practice/report.html
test -s reports/dmz-practice/junit.xml
