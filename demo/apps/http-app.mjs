// A small HTTP application: says who it is and what it was asked, the caller's verified identity included.
//   node http-app.mjs NAME PORT [ADDRESS]
import http from 'node:http';

const [name, port, address] = process.argv.slice(2);

http
  .createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(`${JSON.stringify({ name, method: request.method, path: request.url, client_cert: request.headers['x-forwarded-client-cert'] ?? null })}\n`);
  })
  .listen(Number(port), address, () => console.log(`${name} serves HTTP on port ${port}`));
process.on('SIGTERM', () => process.exit(0));
