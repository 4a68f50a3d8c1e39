// Zip files that come out the same byte for byte from the same files: sorted names, one fixed date, nothing compressed
// (so that no version of zlib has a say), nothing of this machine.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/** 1980-01-01, the first day that a zip can name. */
const DOS_DATE = 0x0021;
const UTF8_NAMES = 0x0800;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff];
  return ~crc >>> 0;
}

/** Writes everything in `folder` to the zip `file`, with paths relative to the folder. */
export function zipFolder(folder, file) {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"));
  zipFiles(folder, names, file);
}

/** Writes the files `names` of `folder` to the zip `file`. */
export function zipFiles(folder, names, file) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const name of [...names].sort()) {
    const bytes = readFileSync(path.join(folder, name));
    const encoded = Buffer.from(name);
    const facts = Buffer.alloc(26);
    facts.writeUInt16LE(20, 0);
    facts.writeUInt16LE(UTF8_NAMES, 2);
    facts.writeUInt16LE(DOS_DATE, 8);
    facts.writeUInt32LE(crc32(bytes), 10);
    facts.writeUInt32LE(bytes.length, 14);
    facts.writeUInt32LE(bytes.length, 18);
    facts.writeUInt16LE(encoded.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), facts, encoded]);
    parts.push(local, bytes);

    const where = Buffer.alloc(14);
    where.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), facts, where, encoded]));
    offset += local.length + bytes.length;
  }
  const entries = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06");
  end.writeUInt16LE(names.length, 8);
  end.writeUInt16LE(names.length, 10);
  end.writeUInt32LE(entries.length, 12);
  end.writeUInt32LE(offset, 16);
  writeFileSync(file, Buffer.concat([...parts, entries, end]));
}
