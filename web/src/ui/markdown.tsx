/** Notes as people write them: Markdown. What shows it is loaded with the first note; until then, and where it cannot be read, the text stands as it was typed. */
import { Component, lazy, type ReactNode, Suspense } from "react";

const Tree = lazy(() => import("./markdown-tree"));

export function Markdown({ text }: { text: string }) {
  const plain = <p className="break-words whitespace-pre-wrap">{text}</p>;
  return (
    <Fallback key={text} plain={plain}>
      <Suspense fallback={plain}>
        <Tree text={text} />
      </Suspense>
    </Fallback>
  );
}

class Fallback extends Component<{ plain: ReactNode; children: ReactNode }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    return this.state.failed ? this.props.plain : this.props.children;
  }
}
