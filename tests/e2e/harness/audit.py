"""Writes by user, from the API server's audit log (POOLER_AUDIT_LOG: our own test cluster)."""

import json
import os
from collections import Counter


class Audit:
    """What was written from the moment at which this was made."""

    def __init__(self):
        self.file = os.environ.get("POOLER_AUDIT_LOG", "")
        assert os.path.exists(self.file), "POOLER_AUDIT_LOG names no file: no audit log to count in"
        self.offset = os.path.getsize(self.file)

    def writes(self, user):
        """Every answered request of `user` that writes, as dicts of the audit log; a dry run does not."""
        found = []
        with open(self.file, "rb") as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                event = json.loads(line)
                if event["user"]["username"] == user and event["stage"] == "ResponseComplete" and \
                        "dryRun=" not in event["requestURI"]:
                    found.append(event)
        return found

    def count(self, user):
        """(verb, resource, namespace/name, code) -> times."""
        counts = Counter()
        for event in self.writes(user):
            target = event["objectRef"]
            resource = target["resource"] + ("/" + target["subresource"] if "subresource" in target
                                             else "")
            counts[(event["verb"], resource, f"{target.get('namespace')}/{target.get('name')}",
                    event["responseStatus"]["code"])] += 1
        return counts
