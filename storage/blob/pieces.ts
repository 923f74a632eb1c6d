/** `chunks` cut and put together to pieces of `sizeBytes`, of which only the last has fewer; views of the same bytes. */
export function* piecesOf(chunks: readonly Uint8Array[], sizeBytes: number): Generator<Uint8Array[], void, void> {
  let piece: Uint8Array[] = [];
  let room = sizeBytes;
  for (let rest of chunks) {
    while (rest.length >= room) {
      yield [...piece, rest.subarray(0, room)];
      rest = rest.subarray(room);
      [piece, room] = [[], sizeBytes];
    }
    if (rest.length > 0) piece.push(rest);
    room -= rest.length;
  }
  if (piece.length > 0) yield piece;
}
