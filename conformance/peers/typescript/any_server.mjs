// Features for a server of any kind: its tools as it lists them, and the one call that the command line names.

export const anyServer = {
  'any.list': (session) => session.client.listTools({}, session.options),
  'any.call': (session) => session.client.callTool(session.call, undefined, session.options)
};
