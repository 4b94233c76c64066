# shellcheck shell=bash
# Build the artifact, install it into an empty folder, and harden a lab clinic from there; it is validated, audited and
# probed by the commands of docs/pipelines as they stand.
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
wants() { python -c "import json, sys; report = json.load(open('reports/$1dmz-practice/report.json')); sys.exit(not ($2))"; }
job() { python "$root/tests/pipelines.py" gitlab-ci.yml "$1" >"$work/$1" && bash -e "$work/$1"; }

ansible-galaxy collection build --output-path "$work" .
ansible-galaxy collection install --no-deps --collections-path "$work/collections" "$work"/radiology-hardening-*.tar.gz
python molecule/resources/lab.py up --name "$RADIOLOGY_LAB" --inventory "$work/inventory" \
  --hosts attacker,home,box-1,pacs-1,ws-1,ct-1,us-1,laptop-1

mkdir "$work/empty"
cd "$work/empty"
ln -s "$work/inventory" clinics
job validate
if job audit; then exit 1; fi
wants audit/ "report['verdict'] == 'fail' and report['counts']['fail'] >= 20"
ansible-playbook -i clinics radiology.hardening.site
wants "" "report['verdict'] == 'pass' and report['counts']['pass'] >= 40"
job audit
job probe
wants audit/ "report['verdict'] == 'pass' and report['counts']['pass'] >= 40"
wants probe/ "report['verdict'] == 'pass'"
test -s reports/audit/dmz-practice/report.html
test -s reports/audit/dmz-practice/junit.xml
test -s reports/probe/dmz-practice/junit.xml
