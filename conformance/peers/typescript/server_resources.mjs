// The resources of the everything server: text, binary, watched, and a template.

import { samples } from './samples.mjs';
import { has } from './sdk.mjs';

const NOT_FOUND = -32002; // the pages of every handshake revision name this code; no schema does
const TEMPLATE = /^test:\/\/template\/([^/]+)\/data$/;

function dress(entry, revision) {
  const { title, icons, lastModified, ...rest } = entry;
  return {
    ...rest,
    ...(title && has(revision, 'title') && { title }),
    ...(icons && has(revision, 'icons') && { icons }),
    ...(rest.annotations && {
      annotations: { ...rest.annotations, ...(has(revision, 'lastModified') && { lastModified }) }
    })
  };
}

export const resources = (revision) =>
  [
    {
      uri: 'test://static-text',
      name: 'static-text',
      title: 'Static text',
      description: 'A resource that never changes',
      mimeType: 'text/plain',
      annotations: { audience: ['user'], priority: 0.5 },
      lastModified: '2025-01-12T15:00:58Z'
    },
    {
      uri: 'test://static-binary',
      name: 'static-binary',
      title: 'Static image',
      description: 'One red pixel',
      mimeType: 'image/png',
      icons: [samples.icon]
    },
    {
      uri: 'test://watched-resource',
      name: 'watched-resource',
      title: 'Watched resource',
      description: 'A resource worth subscribing to',
      mimeType: 'text/plain'
    }
  ].map((entry) => dress(entry, revision));

export const templates = (revision) =>
  [
    {
      uriTemplate: 'test://template/{id}/data',
      name: 'template',
      title: 'Data by id',
      description: 'The data of one id',
      mimeType: 'application/json'
    }
  ].map((entry) => dress(entry, revision));

/** ReadResourceResult of `uri`; throws -32002 with data {uri} when there is none. */
export function readResource(uri, types) {
  if (uri === 'test://static-text') {
    return { contents: [{ uri, mimeType: 'text/plain', text: 'This text never changes.' }] };
  }
  if (uri === 'test://static-binary') {
    return { contents: [{ uri, mimeType: 'image/png', blob: samples.png }] };
  }
  if (uri === 'test://watched-resource') {
    return { contents: [{ uri, mimeType: 'text/plain', text: 'Watch this.' }] };
  }
  const id = TEMPLATE.exec(uri)?.[1];
  if (id !== undefined) {
    const text = JSON.stringify({ id, data: `Data for ID: ${id}` });
    return { contents: [{ uri, mimeType: 'application/json', text }] };
  }
  throw new types.McpError(NOT_FOUND, 'Resource not found', { uri });
}
