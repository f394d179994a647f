"""The parts of a playbook that are the same for each plan."""

from __future__ import annotations

from typing import Final

HEAD: Final = """\
#
# It runs on the machine that reaches the hosts by the URIs below and has virsh; no inventory, no collection is needed:
#
#     balancer pause             # where a balancer acts on this cluster
#     ansible-playbook plan.yml  # with --check it looks and moves nothing
#     balancer resume
#
# One wave after the other; the guests of a wave side by side. A guest that has arrived already is left alone; one that
# is neither where the plan saw it nor where the plan brings it stops everything, and so does a migration that fails.
#
# What it does not do, and `balancer apply` does: prove the plan anew on the cluster as it is now, and each step once
# more; ask both ends beforehand what speaks against a migration; reserve room; keep other guests from starting on a
# host that is emptied; mend a migration that was cut in post-copy; give one up that takes too long (this playbook stops
# then, and the two hypervisors carry it on: see where the guest is first of all). It switches no host off or on.
"""

FIRST_PLAY: Final = """
- name: Look before anything is moved
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Refuse a plan that is too old
      ansible.builtin.assert:
        that: now().timestamp() <= {until}
        fail_msg: {too_old}
        quiet: true
"""

WAKE_PLAY: Final = """
- name: {title}, hosts that have to be on
  hosts: localhost
  connection: local
  gather_facts: false
  vars:
    woken:
{hosts}
  tasks:
    - name: Say who has to wake
      ansible.builtin.debug:
        msg: "if {{{{ item }}}} is off, wake it now: balancer power wake {{{{ item }}}}"
      loop: "{{{{ woken }}}}"
"""

WAIT_PLAY: Final = """
- name: {title}, wait for hosts that wake
  hosts: localhost
  connection: local
  gather_facts: false
  vars:
    woken:
{hosts}
  tasks:
    - name: Wait until it answers
      ansible.builtin.command:
        argv:
          - virsh
          - --connect
          - "{{{{ item.uri }}}}"
          - list
          - --uuid
      loop: "{{{{ woken }}}}"
      loop_control:
        label: "{{{{ item.name }}}}"
      register: answer
      until: answer is succeeded
      retries: {tries}
      delay: {delay}
      changed_when: false
      check_mode: false
"""

CARRY_OUT: Final = """\
    - name: See where the guests are
      ansible.builtin.command:
        argv: "{{ ['virsh', '--connect', item.uri, 'list', '--uuid'] + item.filters }}"
      loop: "{{ looks }}"
      loop_control:
        label: "{{ item.what }}"
      register: looked
      changed_when: false
      failed_when: looked.rc != 0 and item.has_to_answer
      check_mode: false

    - name: Note where the guests are
      ansible.builtin.set_fact:
        seen: >-
          {{ dict(looked.results | map(attribute='item.what')
          | zip(looked.results | map(attribute='stdout_lines'))) }}

    - name: Stop where a guest is not where the plan has it
      ansible.builtin.assert:
        that: (item.guest in seen[item.before]) != (item.guest in (item.after | map('extract', seen) | flatten))
        fail_msg: >-
          {{ item.what }}: the guest is seen
          {{ seen | dict2items | selectattr('value', 'contains', item.guest) | map(attribute='key')
          | select('match', '(active|shut off) on ') | join(' and ')
          | default('on none of the hosts that were asked', true) }}.
          The cluster is no longer as the plan took it to be: make a new one
        quiet: true
      loop: "{{ moves }}"
      loop_control:
        label: "{{ item.what }}"
      when: not (ansible_check_mode and item.comes_from_a_stop)

    - name: Say how long a guest may stand still
      ansible.builtin.command:
        argv:
          - virsh
          - --connect
          - "{{ item.source_uri }}"
          - migrate-setmaxdowntime
          - --domain
          - "{{ item.guest }}"
          - --downtime
          - "{{ item.stop_ms }}"
      loop: "{{ moves }}"
      loop_control:
        label: "{{ item.what }}"
      when:
        - item.stop_ms > 0
        - item.guest in seen[item.before]
      changed_when: false

    - name: Begin to move
      ansible.builtin.command:
        argv: >-
          {{ ['virsh', '--connect', item.source_uri, 'migrate', '--domain', item.guest, '--desturi', item.peer_uri]
          + item.options
          + (['--persistent', '--undefinesource'] if item.guest in seen['persistent on ' ~ item.source] else []) }}
      async: "{{ deadline_seconds }}"
      poll: 0
      loop: "{{ moves }}"
      loop_control:
        label: "{{ item.what }}"
      when:
        - not ansible_check_mode
        - item.guest in seen[item.before]
      register: begun
      changed_when: true

    - name: Wait until all have ended
      ansible.builtin.async_status:
        jid: "{{ item.ansible_job_id }}"
      loop: "{{ begun.results | selectattr('ansible_job_id', 'defined') }}"
      loop_control:
        label: "{{ item.item.what }}"
      register: ended
      until: ended is finished
      retries: "{{ deadline_seconds }}"
      delay: 2
      failed_when: false  # told below: the others have arrived, and are seen to first

    - name: See where the guests are now
      ansible.builtin.command:
        argv: "{{ ['virsh', '--connect', item.uri, 'list', '--uuid'] + item.filters }}"
      loop: "{{ looks }}"
      loop_control:
        label: "{{ item.what }}"
      register: looked_again
      changed_when: false
      failed_when: false  # likewise
      when: not ansible_check_mode

    - name: Start those with their host that did so before
      ansible.builtin.command:
        argv:
          - virsh
          - --connect
          - "{{ item.target_uri }}"
          - autostart
          - --domain
          - "{{ item.guest }}"
      vars:
        now_seen: >-
          {{ dict(looked_again.results | map(attribute='item.what')
          | zip(looked_again.results | map(attribute='stdout_lines'))) }}
      loop: "{{ moves }}"
      loop_control:
        label: "{{ item.what }}"
      when:
        - not ansible_check_mode
        - item.guest in seen['autostart on ' ~ item.source]
        - item.guest not in now_seen[item.before]
        - item.guest in (item.after | map('extract', now_seen) | flatten)
      changed_when: true

    - name: Stop where a migration has failed
      ansible.builtin.assert:
        that: item.rc is defined and item.rc == 0
        fail_msg: "{{ item.item.item.what }}: {{ item.stderr | default('it has not ended in time', true) }}"
        quiet: true
      loop: "{{ ended.results }}"
      loop_control:
        label: "{{ item.item.item.what }}"
      when: not ansible_check_mode

    - name: Stop where a host does not answer
      ansible.builtin.assert:
        that: item.rc == 0 or not item.item.has_to_answer
        fail_msg: "{{ item.item.what }}: {{ item.stderr }}"
        quiet: true
      loop: "{{ looked_again.results }}"
      loop_control:
        label: "{{ item.item.what }}"
      when: not ansible_check_mode

    - name: Stop where a guest has not arrived
      ansible.builtin.assert:
        that:
          - item.guest not in now_seen[item.before]
          - item.guest in (item.after | map('extract', now_seen) | flatten)
        fail_msg: "{{ item.what }}: the guest has not arrived"
        quiet: true
      vars:
        now_seen: >-
          {{ dict(looked_again.results | map(attribute='item.what')
          | zip(looked_again.results | map(attribute='stdout_lines'))) }}
      loop: "{{ moves }}"
      loop_control:
        label: "{{ item.what }}"
      when: not ansible_check_mode
"""
