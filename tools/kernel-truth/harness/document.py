# SPDX-License-Identifier: MIT
"""Turns the plugin's counts into the JSON document."""
import json

import output_file

CPU_TEXT = {
    "max": "qemu -cpu max,lpa2=off,pauth-impdef=on: has FEAT_TLBIRANGE, FEAT_TTL, HAFDBS, CnP",
    "a76": "cortex-a76: no TLBIRANGE; kernel applies the repeat-TLBI erratum workaround (each "
           "completing DSB ISH after TLBIs is followed by one VALE1IS of address 0 and another "
           "DSB ISH)",
}
REPETITIONS = 2


def counters_of(repetitions):
    """Counters of one phase as lists over the repetitions, TLBI operations grouped, and the names
    of those that were equal in all repetitions."""
    names = sorted({name for record in repetitions for name in record if name.startswith("tlbi.")})
    lists = {name: [record.get(name, 0) for record in repetitions] for name in names}
    result = {"tlbi": {name.removeprefix("tlbi."): values for name, values in lists.items()}}
    for name in repetitions[0]:
        if not name.startswith("tlbi."):
            result[name] = lists[name] = [record[name] for record in repetitions]
    result["deterministic"] = [name for name, values in lists.items() if len(set(values)) == 1]
    return result


def measured(phases, selected, counts_by_cpu):
    """[(name, what, {cpu: counters})], and the names of phases that this kernel could not do (their
    function returned without a begin)."""
    entries, absent = [], []
    for number, (name, what) in enumerate(phases):
        if selected and name not in selected:
            continue
        if not all((r, number) in counts
                   for counts in counts_by_cpu.values() for r in range(REPETITIONS)):
            absent.append(name)
            continue
        cpu = {model: counters_of([counts[r, number] for r in range(REPETITIONS)])
               for model, counts in counts_by_cpu.items()}
        entries.append({"name": name, "what": what, "cpu": cpu})
    return entries, absent


def make(kernel, qemu, toolchain, entries, models, key, arguments, what):
    return {
        "kernel": kernel.describe(),
        "how": f"qemu-system-aarch64 {qemu} -M virt,gic-version=3 -smp 1 -m 4G, kernel booted with "
               f"{arguments}; a TCG plugin counts executed instructions between marker "
               f"instructions of {what} ({toolchain}; kpksim, tools/kernel-truth)",
        "cpu_models": {model: CPU_TEXT[model] for model in models},
        "values": "two repetitions in one boot; `deterministic` names the counters that were equal "
                  "in both; isb, dsb, eret and instructions contain a little timer-interrupt noise; "
                  f"msr_por and mrs_por are the accesses to {key.upper()}",
        "phases": entries,
    }


def to_text(value, indent=0):
    """JSON with lists on one line, as in the files that exist."""
    if isinstance(value, dict) and value:
        inner = " " * (indent + 1)
        items = [f"{inner}{json.dumps(key)}: {to_text(item, indent + 1)}"
                 for key, item in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * indent + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        inner = " " * (indent + 1)
        return "[\n" + ",\n".join(inner + to_text(item, indent + 1) for item in value) + \
            "\n" + " " * indent + "]"
    return json.dumps(value)


def write(document, path):
    output_file.write(path, to_text(document) + "\n")
