#!/usr/bin/python3
"""Makes the tables of 0002-generic-block-allocator.md anew.

    docs/studies/0002-generic-block-allocator.py           # writes them
    docs/studies/0002-generic-block-allocator.py --check   # exit status 1 if a table in the text is not
                                                           # what the simulator gives, or if the answer
                                                           # quotes what the tables do not say
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import prose

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools"))
import output_file  # noqa: E402

KPKSIM = pathlib.Path(os.environ.get("KPKSIM", ROOT / "build" / "release" / "kpksim"))
TEXT = HERE / "0002-generic-block-allocator.md"
BEGIN, END = "<!-- tables: made by the script -->\n", "<!-- end of tables -->\n"

BASE = "kpkeys-poe+lazy,pba,block"
POLICIES = {  # in the order of the rows, with their names
    BASE: "page tables alone",
    "kpkeys-poe+lazy:cred=on,pba,block": "credentials page by page",
    "kpkeys-poe+lazy:cred=on:cred_pages=pool,pba,block": "a pool each",
    "kpkeys-poe+lazy:cred=on:cred_pages=shared,pba,block": "one pool",
    "kpkeys-poe+lazy:cred=on:cred_pages=shared,pba:orders=4/2,block": "one pool, small runs",
}
CHILDREN = 1000
WORKLOADS = {"fork-exec-server": "A server forks 100 children",
             "compile": "A recorded compilation",
             "many": f"{CHILDREN:,} children at once, then memory pressure"}
MEMORY = "8G"


def many():
    """Children that live at the same time, end, and leave their memory to the shrinkers."""
    def each(op):
        return [{**op, **({"child": f"c{i}"} if op["op"] == "fork" else {"task": f"c{i}"})}
                for i in range(CHILDREN)]
    return {"name": "many", "description": WORKLOADS["many"], "seed": 1, "phases": [
        {"name": "start", "ops": [
            {"op": "spawn", "task": "p"},
            {"op": "mmap", "task": "p", "region": "heap", "size": "256K", "prot": "rw"},
            {"op": "touch", "task": "p", "region": "heap", "access": "write"}]},
        {"name": "fork", "ops": each({"op": "fork", "task": "p"})},
        {"name": "exit", "ops": each({"op": "exit"})},
        {"name": "pressure", "ops": [{"op": "pressure"}]}]}


def figures(run):
    total = run["total"]
    tlbis = sum(e["total"] for name, e in total["events"].items() if name.startswith("tlbi_"))
    splits = sum(n for name, n in total["linear_map"].items() if name.startswith("split_"))
    cred = total.get("credentials", {})

    def held(part):
        return part["allocator"]["cached"] + part.get("credentials", {}).get("cached", 0)
    return {"TLBIs": tlbis, "calls": total["linear_map"]["set_memory_pkey"], "splits": splits,
            "pages held at most": max(held(phase) for phase in run["phases"]),
            "at the end": held(total), "lent": cred.get("borrowed", 0),
            "lent back": total["allocator"].get("borrowed", 0),
            "credentials' switches": cred.get("switches", 0),
            "cycles": total["cycles"]["total"]}


def simulate():
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        own = pathlib.Path(folder) / "many.json"
        own.write_text(json.dumps(many()))
        for name in WORKLOADS:
            out = pathlib.Path(folder) / "result.json"
            command = [str(KPKSIM), "compare", "--memory", MEMORY, "-q"]
            for policy in POLICIES:
                command += ["-p", policy]
            command += ["-o", str(out), str(own) if name == "many" else name]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            runs = json.loads(out.read_text())["runs"]
            results[name] = dict(zip(POLICIES, map(figures, runs)))
    return results


def tables(results):
    text = ""
    for name, heading in WORKLOADS.items():
        columns = [c for c in results[name][BASE] if c != "cycles"]
        text += f"\n### {heading}\n\n"
        text += "| | " + " | ".join(columns) + " | overhead, percent |\n"
        text += "|---|" + "---:|" * (len(columns) + 1) + "\n"
        base = results[name][BASE]["cycles"]
        for policy, label in POLICIES.items():
            row = results[name][policy]
            cells = [f"{row[c]:,}" for c in columns]
            text += f"| {label} | " + " | ".join(cells) + f" | {row['cycles'] / base * 100 - 100:.2f} |\n"
    return text + "\n"


def number(cell):
    return int(cell.replace(",", ""))


def quotes(tables):
    """What the answer says in numbers, as the tables have it. Its first sentence is the first."""
    server, compilation, short = (tables[WORKLOADS[name]] for name in WORKLOADS)
    one, each, single, small = "one pool", "a pool each", "credentials page by page", "one pool, small runs"
    held = "pages held at most"
    assert all(server[single][c] == server[one][c] for c in ("calls", "splits", "TLBIs"))
    # More calls than with one pool alone: what was lent is not worth it.
    assert number(short[one]["calls"]) > number(short[each]["calls"]) > number(short[single]["calls"])
    overhead = "overhead, percent"
    apart = max(abs(float(t[one][overhead]) - float(t[each][overhead]))
                for t in (server, compilation, short))
    return [
        f"One pool can serve both, and for a server with 100 children it holds {server[one][held]} "
        f"pages instead of {server[each][held]} and issues {server[one]['TLBIs']} TLBIs instead of "
        f"{server[each]['TLBIs']}, for {server[one]['splits']} splits instead of "
        f"{server[each]['splits']}.",
        f"it is {compilation[one][held]} pages instead of {compilation[each][held]}, and "
        f"{compilation[one]['TLBIs']} TLBIs instead of {compilation[each]['TLBIs']}",
        f"as many calls ({server[single]['calls']}), splits ({server[single]['splits']}) and TLBIs "
        f"({server[single]['TLBIs']}) as with one pool",
        f"With {CHILDREN:,} children that end, one pool makes {short[one]['calls']} calls and a pool "
        f"each {short[each]['calls']}, where page by page makes {short[single]['calls']}",
        f"lends credentials {short[one]['lent']} pages, and credentials lend {short[one]['lent back']} "
        f"back, each by a call",
        f"{server[small][held]} pages for the server, with {server[small]['calls']} calls and "
        f"{server[small]['splits']} splits",
        f"differs by at most {apart:.2f} points",
    ]


def check_prose(text):
    answer = text.split("**Answer.**")[1].split("## How")[0]
    return prose.check(answer, quotes(prose.tables_of(text)),
                       ["run of 512 pages for 1 page", "since 21 of them"])


def main():
    text = TEXT.read_text()
    made = tables(simulate())
    head, rest = text.split(BEGIN)
    if "--check" in sys.argv[1:]:
        wrong = check_prose(text)
        if rest.split(END)[0] != made:
            wrong.append(f"its tables are not what the simulator gives; run {__file__} and read the "
                         "text again")
        if wrong:
            sys.exit(f"{TEXT}: " + "; ".join(wrong))
        return
    output_file.write(TEXT, head + BEGIN + made + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
