import { Page } from "../components/page";

export default function Highlight() {
  return <Page title="Highlight">…</Page>;
}
