# shellcheck shell=bash
# Run playbooks one after another against a lab of its own, until one fails: tests/on_lab.sh NAME HOSTS PLAYBOOK...
set -euo pipefail
cd "$(dirname "$0")/.."
export RADIOLOGY_LAB=$1 ANSIBLE_CONFIG=$PWD/ansible.cfg
export ANSIBLE_COLLECTIONS_PATH=$PWD/.ansible/collections
export ANSIBLE_VAULT_PASSWORD_FILE=$PWD/molecule/resources/vault_password.py
hosts=$2
shift 2
work=$(mktemp -d)
trap 'python molecule/resources/lab.py down --name "$RADIOLOGY_LAB"; rm -rf "$work"' EXIT
python molecule/resources/lab.py up --name "$RADIOLOGY_LAB" --hosts "$hosts" --inventory "$work/inventory"
for playbook in "$@"; do
  ansible-playbook -i "$work/inventory" "$playbook"
done
