import { Page } from "../components/page";

export default function Stream() {
  return <Page title="Stream">…</Page>;
}
