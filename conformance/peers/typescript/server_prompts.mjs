// The prompts of the everything server, and completion of their arguments.

import { samples } from './samples.mjs';
import { has } from './sdk.mjs';

const user = (content) => ({ role: 'user', content });
const text = (value) => user({ type: 'text', text: value });

const PROMPTS = {
  test_simple_prompt: {
    title: 'Simple prompt',
    description: 'A prompt without arguments',
    messages: () => [text('This is a simple prompt for testing.')]
  },
  test_prompt_with_arguments: {
    title: 'Prompt with arguments',
    description: 'A prompt that shows its two arguments',
    arguments: [
      { name: 'arg1', description: 'First argument', required: true },
      { name: 'arg2', description: 'Second argument', required: true }
    ],
    messages: ({ arg1, arg2 }) => [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)]
  },
  test_prompt_with_embedded_resource: {
    title: 'Prompt with a resource',
    description: 'A prompt that embeds the resource it is given',
    arguments: [{ name: 'resourceUri', description: 'URI to embed', required: true }],
    messages: ({ resourceUri }) => [
      user({
        type: 'resource',
        resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded in a prompt.' }
      }),
      text('Please process the embedded resource above.')
    ]
  },
  test_prompt_with_image: {
    title: 'Prompt with an image',
    description: 'A prompt that shows an image',
    messages: () => [user(samples.image), text('Please describe the image above.')]
  }
};

const CITIES = ['paris', 'park city', 'parma', 'berlin'];

export const prompts = (revision) =>
  Object.entries(PROMPTS).map(([name, prompt]) => ({
    name,
    ...(has(revision, 'title') && { title: prompt.title }),
    description: prompt.description,
    ...(prompt.arguments && { arguments: prompt.arguments })
  }));

/** GetPromptResult; throws -32602 for a name or an argument that is missing, as the pages ask. */
export function getPrompt({ name, arguments: given = {} }, types) {
  if (!Object.hasOwn(PROMPTS, name)) {
    throw new types.McpError(types.ErrorCode.InvalidParams, `Unknown prompt: ${name}`);
  }
  const prompt = PROMPTS[name];
  const missing = (prompt.arguments ?? []).filter((argument) => given[argument.name] === undefined);
  if (missing.length > 0) {
    throw new types.McpError(types.ErrorCode.InvalidParams, `Missing argument: ${missing[0].name}`);
  }
  return { description: prompt.description, messages: prompt.messages(given) };
}

/** CompleteResult: cities that begin with what was typed, for arg1; nothing for anything else. */
export function completion({ ref, argument }) {
  const known = ref.type === 'ref/prompt' && ref.name === 'test_prompt_with_arguments' && argument.name === 'arg1';
  const values = known ? CITIES.filter((city) => city.startsWith(argument.value)) : [];
  return { completion: { values, total: values.length, hasMore: false } };
}
