import { Empty, Page } from "../components/page";

export default function NotFound() {
  return (
    <Page title="No such page">
      <Empty title="There is no page at this address.">
        <a href="/console">Go to the streams</a>
      </Empty>
    </Page>
  );
}
