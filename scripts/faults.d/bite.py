"""Whether a fault did anything. A run in which nothing went wrong proves nothing, so it must not pass as a good one.

`Fault.bites` says how the effect of a fault shows:

    REFUSED   in each window of the run at least one write was not acknowledged
    HELD      the same, or a write took at least a second
    COUNTED   the fault counts for itself, with `run.bit(True or False)` after each try

`Fault.sure` says that each try has an effect by construction: one try without it fails the run. Any other fault may miss now and
then. A run of it fails when all of several tries missed, and the fault as a whole when more than half of its tries did.
"""

from collections import Counter, defaultdict

import law

REFUSED, HELD, COUNTED = "refused", "held", "counted"
HELD_SECONDS = 1.0
# Fewer tries than this are too few to judge a fault that may miss.
ENOUGH_TRIES = 4
# These answers are about the request, not about the state of the server.
ABOUT_THE_REQUEST = (409, 412, 429)


def shows(write, how):
    refused = write.outcome != law.ACKNOWLEDGED and write.status not in ABOUT_THE_REQUEST and write.seconds > 0
    return refused or (how == HELD and write.seconds >= HELD_SECONDS)


def in_window(run, window):
    """The writes of which a part lies in the window."""
    start, end = window
    return [w for w in run.ledger.writes if (end is None or w.began < end) and w.began + w.seconds > start]


def judge(run):
    """Called once, after the work of a run."""
    fault = run.fault
    if fault.bites != COUNTED:
        for window in run.windows:
            run.bit(any(shows(w, fault.bites) for w in in_window(run, window)))
    missed = sum(not did for did, _ in run.bites)
    if not run.bites and not run.broken:
        run.broken.append("nothing went wrong: the run ended before the fault")
    elif missed and (fault.sure or len(run.bites) == missed > 1):
        run.broken.append(f"nothing went wrong in {missed} of {len(run.bites)} tries of this fault")


def groups(rows):
    """(fault, database) → what its tries were made on → (tries, tries that had an effect)."""
    tries, hits = defaultdict(Counter), defaultdict(Counter)
    for row in rows:
        if not row.skipped:
            for did, on in row.bites:
                tries[row.fault, row.database][on] += 1
                hits[row.fault, row.database][on] += did
    return {key: {on: (count, hits[key][on]) for on, count in sorted(found.items())} for key, found in tries.items()}


def total(found):
    """(tries, tries that had an effect) of one group."""
    return sum(tries for tries, _ in found.values()), sum(hits for _, hits in found.values())


def toothless(rows):
    """A sentence about each fault that missed in more than half of its tries."""
    for (fault, database), found in groups(rows).items():
        tries, hits = total(found)
        if tries >= ENOUGH_TRIES and hits * 2 < tries:
            yield f"{fault} {database}: it had an effect in only {hits} of {tries} tries"
