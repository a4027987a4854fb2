// A table that becomes a list of cards on a phone. Roles are explicit because the style of the cards,
// which shows rows as blocks, would otherwise take them away.
import type { ComponentChildren } from "preact";

export interface Column<Row> {
  name: string;
  cell: (row: Row) => ComponentChildren;
  isNumber?: boolean;
}

export function Table<Row>(props: {
  caption: string;
  columns: Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
}) {
  return (
    <table role="table">
      <caption class="sr-only">{props.caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {props.columns.map(({ name, isNumber }) => (
            <th key={name} scope="col" role="columnheader" class={isNumber ? "number" : undefined}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {props.rows.map((row) => (
          <tr role="row" key={props.rowKey(row)}>
            {props.columns.map(({ name, cell, isNumber }) => (
              <td key={name} role="cell" data-name={name} class={isNumber ? "number" : undefined}>
                {cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
