import { expect, it } from "vitest";
import { proposed } from "./proposed";

const docker = { cidr: "172.17.0.0/16", interface: "docker0", gateway: null };
const lan = { cidr: "192.168.1.0/24", interface: "eth0", gateway: "192.168.1.1" };

it("proposes the network of the default route, and all of them where there is none", () => {
  expect(proposed([docker, lan])).toEqual(["192.168.1.0/24"]);
  expect(proposed([docker])).toEqual(["172.17.0.0/16"]);
  expect(proposed([])).toEqual([]);
});
