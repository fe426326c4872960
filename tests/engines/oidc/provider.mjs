// An OpenID provider for tests: node provider.mjs PORT KEYS AUDIENCE [DOOR]; KEYS is a file with a private JWKS,
// DOOR the address of a web door that browsers log in at; what is granted is printed.
import { readFileSync } from 'node:fs';
import { Provider } from 'oidc-provider';

const [port, keys, audience, door] = process.argv.slice(2);
const users = {
  alice: { groups: ['Radiology'], roles: ['reader', 'teacher'], tenant: 'Hospital A' },
  bob: { groups: ['Research'], roles: ['researcher'], tenant: 'Hospital B' },
  many: { groups: Array.from({ length: 200 }, (_, number) => `group ${number} ${'x'.repeat(190)}`), roles: [], tenant: 'Hospital A' },
};
const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: JSON.parse(readFileSync(keys)),
  clients: [
    {
      client_id: 'svc',
      client_secret: 'svcsecret',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
    {
      client_id: 'web',
      client_secret: 'websecret',
      grant_types: ['authorization_code'],
      redirect_uris: ['http://127.0.0.1:9/callback'],
      response_types: ['code'],
    },
    ...(door ? [{
      client_id: 'door',
      client_secret: 'door+secret/%',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: [`${door}/login/callback`],
      post_logout_redirect_uris: [`${door}/login`],
      response_types: ['code'],
    }] : []),
  ],
  scopes: ['openid', 'dicom.read', 'offline_access'],
  ttl: door ? { IdToken: 15 } : {},
  claims: { openid: ['sub', 'groups', 'roles', 'tenant'] },
  conformIdTokenClaims: false,
  findAccount: (_context, id) => users[id] && { accountId: id, claims: () => ({ sub: id, ...users[id] }) },
  extraTokenClaims: (_context, token) => users[token.accountId] ?? { roles: ['service'], tenant: 'Hospital A' },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, resource) => ({
        scope: 'dicom.read',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
      }),
    },
  },
  cookies: { keys: ['tests'] },
});
provider.on('grant.success', (context) => console.log('granted', context.oidc.params.grant_type));
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
