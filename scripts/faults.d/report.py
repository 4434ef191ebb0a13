"""One line for each run, and the table over all of them."""

import statistics

import bite
import law


class Row:
    def __init__(self, run, skipped, seconds):
        ledger, verdict = run.ledger, run.verdict
        self.fault, self.database, self.seed, self.seconds = run.fault.name, run.database, run.seed, seconds
        self.skipped, self.broken, self.notes, self.runs = skipped, run.broken, run.notes, run.runs
        self.acknowledged, self.refused, self.unknown = (ledger.count(o) for o in (law.ACKNOWLEDGED, law.REFUSED, law.UNKNOWN))
        self.lost, self.half = len(verdict.lost | verdict.sessions), len(verdict.half | verdict.surplus | verdict.log)
        self.chain, self.untold = verdict.chain == "whole", len(verdict.untold)
        self.slowest, self.recovered = run.slowest(), run.recovered
        self.reads, self.bites = len(ledger.reads), run.bites

    def line(self):
        where = f"{self.fault} {self.database} seed {self.seed}"
        if self.skipped:
            return f"  skip  {where}: {self.skipped}"
        said = [f"{self.acknowledged} acknowledged, {self.refused} refused, {self.unknown} unknown, {self.lost} lost, {self.half} half"]
        if self.slowest:
            said.append(f"slowest {self.slowest:.2f} s")
        if self.recovered:
            said.append(f"recovered in {max(self.recovered):.2f} s")
        if self.bites:
            said.append(f"bitten {sum(did for did, _ in self.bites)} of {len(self.bites)}")
        said += self.notes
        lines = [f"  {'FAIL' if self.broken else 'ok  '}  {where}: {'; '.join(said)} ({self.seconds:.1f} s)"]
        lines += [f"        {what}" for what in self.broken[:8]]
        if len(self.broken) > 8:
            lines.append(f"        and {len(self.broken) - 8} more")
        return "\n".join(lines)


def table(rows):
    """Fault by database, in Markdown."""
    head = "fault | database | runs | bitten | failed | acknowledged | refused | unknown | lost | half | chain | told | slowest answer | recovered in, median / worst"
    lines = [f"| {head} |", "|" + " --- |" * len(head.split("|"))]
    groups, found = {}, bite.groups(rows)
    for row in rows:
        groups.setdefault((row.fault, row.database), []).append(row)
    for (fault, database), group in groups.items():
        ran = [r for r in group if not r.skipped]
        if not ran:
            lines.append(f"| {fault} | {database} | SKIPPED: {group[0].skipped} |" + " |" * (len(head.split("|")) - 3))
            continue
        total = lambda what: sum(getattr(r, what) for r in ran)  # noqa: E731
        times = [t for r in ran for t in r.recovered]
        back = f"{statistics.median(times):.2f} / {max(times):.2f} s" if times else "-"
        slowest = max(r.slowest for r in ran)
        untold = total("untold")
        cells = [
            fault, database, total("runs"), bitten(found.get((fault, database), {})), sum(bool(r.broken) for r in ran), total("acknowledged"), total("refused"), total("unknown"),
            total("lost"), total("half"), "whole" if all(r.chain for r in ran) else "BROKEN", f"{untold} not" if untold else "all",
            f"{slowest:.2f} s" if slowest else "-", back,
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    parts = [f"- {fault} {database}; {each(by)}" for (fault, database), by in found.items() if set(by) != {""}]
    if parts:
        lines += ["", "Bitten, by what the tries were made on:", "", *parts]
    return "\n" + "\n".join(lines) + "\n"


def bitten(by):
    tries, hits = bite.total(by)
    return f"{hits} of {tries}" if tries else "-"


def each(by):
    return ", ".join(f"{' '.join(on.split())}: {hits} of {tries}" for on, (tries, hits) in by.items())


def last_line(rows):
    failed = sum(bool(r.broken) and not r.skipped for r in rows)
    for sentence in bite.toothless(rows):
        print(f"  FAIL  {sentence}", flush=True)
        failed += 1
    skipped = sum(bool(r.skipped) for r in rows)
    passed = sum(not r.broken and not r.skipped for r in rows)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed or not passed else 0
