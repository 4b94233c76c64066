# shellcheck shell=bash
# Build the artifact, install it into an empty folder, and harden and audit a lab clinic from there.
set -euo pipefail
cd "$(dirname "$0")/.."
export RADIOLOGY_LAB=package
root=$PWD
work=$(mktemp -d)
trap 'python molecule/resources/lab.py down --name "$RADIOLOGY_LAB"; rm -rf "$work"' EXIT

ansible-galaxy collection build --output-path "$work" .
ansible-galaxy collection install --no-deps --collections-path "$work/collections" "$work"/radiology-hardening-*.tar.gz
python molecule/resources/lab.py up --name "$RADIOLOGY_LAB" --inventory "$work/inventory" \
  --hosts attacker,box-1,pacs-1,ct-1,laptop-1

mkdir "$work/empty"
cd "$work/empty"
unset ANSIBLE_CONFIG
export ANSIBLE_COLLECTIONS_PATH=$work/collections
export ANSIBLE_INVENTORY_ENABLED=radiology.hardening.clinic,ansible.builtin.yaml
export ANSIBLE_VAULT_PASSWORD_FILE=$root/molecule/resources/vault_password.py
if ansible-playbook -i "$work/inventory" radiology.hardening.audit; then exit 1; fi
python -c 'import json, sys; sys.exit(json.load(open(sys.argv[1]))["counts"]["fail"] < 20)' reports/dmz-practice/report.json
ansible-playbook -i "$work/inventory" radiology.hardening.site
python -c 'import json, sys; sys.exit(json.load(open(sys.argv[1]))["verdict"] != "pass")' reports/dmz-practice/report.json
test -s reports/dmz-practice/report.html
test -s reports/dmz-practice/junit.xml
