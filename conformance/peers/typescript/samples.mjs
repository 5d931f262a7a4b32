// The smallest valid file of each binary kind the everything server shows.

/** One red pixel, PNG. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';

/** A WAV file with a header and four silent 8-bit samples at 8 kHz, mono. */
function wav() {
  const data = Buffer.alloc(4, 0x80);
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + data.length, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(8000, 24);
  header.writeUInt32LE(8000, 28);
  header.writeUInt16LE(1, 32);
  header.writeUInt16LE(8, 34);
  header.write('data', 36);
  header.writeUInt32LE(data.length, 40);
  return Buffer.concat([header, data]).toString('base64');
}

export const samples = {
  png: PNG,
  wav: wav(),
  icon: { src: `data:image/png;base64,${PNG}`, mimeType: 'image/png', sizes: ['1x1'] },
  image: { type: 'image', data: PNG, mimeType: 'image/png' }
};
