# shellcheck shell=sh
# What a general hardening role of somebody else leaves on a Debian server, in the way that such roles write it: its own
# files in drop-in folders, a whole /etc/nftables.conf that flushes everything, and one edit of a daemon's main file.
set -eu
mkdir -p /etc/ssh/sshd_config.d /etc/sysctl.d /etc/systemd/system/orthanc.service.d

cat >/etc/ssh/sshd_config.d/00-baseline.conf <<'END'
# Managed by the baseline role
LoginGraceTime 60
MaxAuthTries 6
ClientAliveInterval 300
X11Forwarding no
AllowTcpForwarding local
Banner none
END
grep -q '^# Baseline: backup' /etc/ssh/sshd_config || cat >>/etc/ssh/sshd_config <<'END'
# Baseline: backup
Match User backup
    PasswordAuthentication yes
    AllowTcpForwarding yes
END

cat >/etc/sysctl.d/99-baseline.conf <<'END'
# Managed by the baseline role
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.all.rp_filter = 1
kernel.core_pattern = core
END

cat >/etc/nftables.conf <<'END'
#!/usr/sbin/nft -f
# Managed by the baseline role
flush ruleset
table inet baseline {
  chain input {
    type filter hook input priority filter; policy accept;
    ct state invalid drop
    tcp dport 23 drop
  }
}
END

cat >/etc/systemd/system/orthanc.service.d/override.conf <<'END'
# Managed by the baseline role
[Service]
ProtectSystem=full
NoNewPrivileges=yes
Nice=5
END
# Read last of all, so that it wins over everybody's.
cat >/etc/systemd/system/orthanc.service.d/zzz-baseline.conf <<'END'
# Managed by the baseline role
[Service]
ProtectHome=read-only
END

sshd -t
systemctl reload ssh
systemctl daemon-reload
systemctl --quiet enable nftables
systemctl restart nftables
systemctl restart orthanc
