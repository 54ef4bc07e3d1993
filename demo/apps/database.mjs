// A stand-in for a database: it speaks first, as MySQL and SMTP do, and then echoes.
//   node database.mjs NAME PORT [ADDRESS]
import net from 'node:net';

const [name, port, address] = process.argv.slice(2);

net
  .createServer((socket) => {
    socket.on('error', () => {});
    socket.write(`this is ${name}\n`);
    socket.pipe(socket);
  })
  .listen(Number(port), address, () => console.log(`${name} serves TCP on port ${port}`));
process.on('SIGTERM', () => process.exit(0));
