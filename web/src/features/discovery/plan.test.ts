import { describe, expect, it } from "vitest";
import { planWords } from "./plan";

describe("the words of a plan", () => {
  it("tell steps from what limits all of them, and write counts with a comma", () => {
    const lines = [
      "ICMP: send up to two echo requests to each of 65534 addresses",
      "Ports: connect to 1024 TCP ports of each address that answered, and close immediately",
      "mDNS: ask the group 224.0.0.251 port 5353 on the local network which services exist",
      "At most 5000 packets per second to one network",
    ];
    expect(planWords(lines)).toEqual({
      steps: [
        "ICMP: send up to two echo requests to each of 65,534 addresses",
        "Ports: connect to 1,024 TCP ports of each address that answered, and close immediately",
        "mDNS: ask the group 224.0.0.251 port 5353 on the local network which services exist",
      ],
      limits: ["At most 5,000 packets per second to one network"],
    });
  });
});
