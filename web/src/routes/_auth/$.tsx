import { createFileRoute } from "@tanstack/react-router";
import { NotFound } from "#/ui/no-page";

/** Every address that no page has. It keeps the frame, so that the way on is where it always is. */
export const Route = createFileRoute("/_auth/$")({ staticData: { needs: null }, component: NotFound });
