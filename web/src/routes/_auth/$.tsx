import { createFileRoute } from "@tanstack/react-router";
import { NotFound } from "#/ui/not-found";

/** Every address that no page has. It keeps the frame, so that the way on is where it always is. */
export const Route = createFileRoute("/_auth/$")({ component: NotFound });
