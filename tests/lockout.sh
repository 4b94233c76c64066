# shellcheck shell=bash
# See that a server calls nobody undeclared and lets nobody into a container, the engineer staying in, also where sshd
# refuses everybody for a moment. Then really cut the engineer off, by the firewall and by sshd, and see each host undo
# it alone.
set -euo pipefail
cd "$(dirname "$0")/.."
export RADIOLOGY_LAB=lockout ANSIBLE_CONFIG=$PWD/ansible.cfg
export ANSIBLE_COLLECTIONS_PATH=$PWD/.ansible/collections
export ANSIBLE_VAULT_PASSWORD_FILE=$PWD/molecule/resources/vault_password.py
work=$(mktemp -d)
trap 'python molecule/resources/lab.py down --name "$RADIOLOGY_LAB"; rm -rf "$work"' EXIT
python molecule/resources/lab.py up --name "$RADIOLOGY_LAB" --hosts pacs-1,pacs-2,box-1,box-2,laptop-1,laptop-2 --inventory "$work/inventory"
ansible-playbook -i "$work/inventory" tests/integration/output_declared.yml
ansible-playbook -i "$work/inventory" tests/integration/container_bypass.yml
ansible-playbook -i "$work/inventory" tests/integration/lockout_firewall.yml
ansible-playbook -i "$work/inventory" playbooks/harden.yml
ansible-playbook -i "$work/inventory" tests/integration/late_sshd.yml
ansible-playbook -i "$work/inventory" tests/integration/lockout_sshd.yml
