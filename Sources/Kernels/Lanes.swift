/// Eight values at a time. Reading fewer fills the other lanes with zero; writing fewer leaves what lies behind alone.
/// With `count` the literal 8 both become one vector instruction.
extension Floats {
    @inline(__always)
    func lanes(at index: Int, _ count: Int = 8) -> Vector {
        assert(
            index >= 0 && index + count <= self.count, "lanes \(index) ..< \(index + count) outside 0 ..< \(self.count)"
        )
        return count == 8 ? base.vector(at: index) : rest(at: index, count)
    }

    @inline(__always)
    func setLanes(_ vector: Vector, at index: Int, _ count: Int = 8) {
        assert(
            index >= 0 && index + count <= self.count, "lanes \(index) ..< \(index + count) outside 0 ..< \(self.count)"
        )
        if count == 8 { base.store(vector, at: index) } else { setRest(vector, at: index, count) }
    }

    // Not inlined: reaching lanes by number would keep the vectors of a whole loop in memory.

    @inline(never)
    private func rest(at index: Int, _ count: Int) -> Vector { base.vector(at: index, count: count) }

    @inline(never)
    private func setRest(_ vector: Vector, at index: Int, _ count: Int) { base.store(vector, at: index, count: count) }
}

/// Calls `body` with the start and the number of lanes of each group of eight in `0 ..< count`; the last may be
/// shorter.
@inline(__always)
func forEachEight(_ count: Int, _ body: (_ index: Int, _ lanes: Int) -> Void) {
    let whole = count & ~7
    var index = 0
    while index < whole {
        body(index, 8)
        index &+= 8
    }
    if whole < count { body(whole, count &- whole) }
}

/// Calls `body` with row, column, offset and number of lanes of each group of eight columns of a matrix stored by rows.
@inline(__always)
func forEachEight(rows: Int, columns: Int, _ body: (_ offset: Int, _ column: Int, _ lanes: Int) -> Void) {
    for row in 0 ..< rows {
        let start = row * columns
        forEachEight(columns) { column, lanes in body(start + column, column, lanes) }
    }
}
