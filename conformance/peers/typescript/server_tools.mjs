// Tools that answer with content: each kind of block, structured output, decoration, errors.

import { samples } from './samples.mjs';
import { has } from './sdk.mjs';

const text = (value) => ({ type: 'text', text: value });
const embedded = (uri, mimeType, value) => ({ type: 'resource', resource: { uri, mimeType, text: value } });

const BIG = '0123456789abcdef'.repeat(65_536); // many times what a pipe holds
const WEATHER = { temperature: 21.5, unit: 'C' };
const STATIC_LINK = {
  type: 'resource_link',
  uri: 'test://static-text',
  name: 'static',
  title: 'Static text',
  description: 'A resource that never changes',
  mimeType: 'text/plain'
};

const JSON_SCHEMA_2020_12 = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } }
    }
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' }
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false
};

/** A tool as tools/list shows it in `revision`: members that revision has no place for are left out. */
export function describe(tool, revision) {
  return {
    name: tool.name,
    ...(tool.title && has(revision, 'title') && { title: tool.title }),
    description: tool.description,
    inputSchema: tool.inputSchema ?? { type: 'object', properties: {} },
    ...(tool.outputSchema && has(revision, 'structuredContent') && { outputSchema: tool.outputSchema }),
    ...(tool.annotations && has(revision, 'toolAnnotations') && { annotations: tool.annotations }),
    ...(tool.icons && has(revision, 'icons') && { icons: tool.icons }),
    ...(tool.execution && has(revision, 'execution') && { execution: tool.execution }),
    ...(tool._meta && has(revision, 'meta') && { _meta: tool._meta })
  };
}

/** Each tool: name, description, the optional parts of a Tool, `feature` it needs, run(call) -> result or text. */
export const contentTools = [
  {
    name: 'test_simple_text',
    description: 'Answers one line of text',
    run: () => 'This is a simple text response for testing.'
  },
  {
    name: 'test_image_content',
    description: 'Answers an image',
    run: () => ({ content: [samples.image] })
  },
  {
    name: 'test_audio_content',
    description: 'Answers a sound',
    feature: 'audio',
    run: () => ({ content: [{ type: 'audio', data: samples.wav, mimeType: 'audio/wav' }] })
  },
  {
    name: 'test_embedded_resource',
    description: 'Answers an embedded resource',
    run: () => ({ content: [embedded('test://embedded-resource', 'text/plain', 'Embedded in a result.')] })
  },
  {
    name: 'test_multiple_content_types',
    description: 'Answers text, an image and an embedded resource',
    run: () => ({
      content: [
        text('Three kinds of content:'),
        samples.image,
        embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}')
      ]
    })
  },
  {
    name: 'big',
    description: 'Answers a text of one mebibyte',
    run: () => BIG
  },
  {
    name: 'test_error_handling',
    description: 'Fails on purpose',
    run: () => ({ content: [text('This tool fails on purpose.')], isError: true })
  },
  {
    name: 'structured',
    description: 'Answers a measurement, structured where the revision can',
    outputSchema: {
      type: 'object',
      properties: { temperature: { type: 'number' }, unit: { type: 'string' } },
      required: ['temperature', 'unit']
    },
    run: ({ revision }) => ({
      content: [text(JSON.stringify(WEATHER))],
      ...(has(revision, 'structuredContent') && { structuredContent: WEATHER })
    })
  },
  {
    name: 'links',
    description: 'Answers a text and a link to a resource where the revision can',
    run: ({ revision }) => ({
      content: [text('See test://static-text.'), ...(has(revision, 'resourceLink') ? [STATIC_LINK] : [])]
    })
  },
  {
    name: 'decorated',
    description: 'Wears everything a tool can wear',
    title: 'Decorated tool',
    annotations: { title: 'Decorated (annotation)', readOnlyHint: true },
    icons: [samples.icon],
    execution: { taskSupport: 'forbidden' },
    _meta: { 'example.com/color': 'red' },
    run: () => 'decorated'
  },
  {
    name: 'json_schema_2020_12_tool',
    description: 'Takes arguments described with the full vocabulary of JSON Schema 2020-12',
    feature: 'jsonSchema202012',
    inputSchema: JSON_SCHEMA_2020_12,
    run: (call) => JSON.stringify(call.arguments)
  }
];
