/// Memory for values each of which is needed for a while: those that are not needed at the same time share it.
///
/// Times are numbers of steps, both ends included: what a step reads and what it writes never share memory unless that
/// was asked for.
struct BufferPlan {
    /// What a value is, of which node or value of the network.
    enum Value: Hashable {
        /// The gradient that backward is given: nothing is written over it.
        case given
        case output(Int)
        case gradient(Int), adjoint(Int), tangent(Int), curvature(Int), copy(Int)
    }

    private struct Buffer {
        let count: Int
        let start: Int
        /// The last step that reads each value that lies there.
        var last: [Value: Int]

        var lifetime: ClosedRange<Int> { start ... max(start, last.values.max()!) }
    }

    private var buffers: [Buffer] = []

    /// Another buffer, which holds `value` from one step to another.
    mutating func make(_ count: Int, for value: Value, from start: Int, to end: Int) -> Int {
        buffers.append(Buffer(count: count, start: start, last: [value: end]))
        return buffers.count - 1
    }

    /// From here on the buffer holds `value` too.
    mutating func share(_ buffer: Int, with value: Value, to end: Int) { buffers[buffer].last[value] = end }

    /// `value` has moved elsewhere in step `time`.
    mutating func release(_ value: Value, from buffer: Int, at time: Int) { buffers[buffer].last[value] = time }

    /// Whether no other value lies there in step `time` or later.
    func isAlone(_ value: Value, in buffer: Int, at time: Int) -> Bool {
        buffers[buffer].last.allSatisfy { $0.key == value || $0.value < time }
    }

    /// Whether step `time` is the last that reads anything there.
    func isLast(_ time: Int, of buffer: Int) -> Bool { buffers[buffer].last.values.allSatisfy { $0 <= time } }

    /// Where the buffers lie in one memory.
    struct Layout {
        let offsets: [Int]
        /// Values of that memory.
        let count: Int
        /// What they would take if none were shared.
        let countApart: Int
    }

    /// The largest buffers first, each at the lowest place that is free for as long as it is needed; on cache lines.
    func layout() -> Layout {
        func rounded(_ count: Int) -> Int { (count + 15) / 16 * 16 }
        var offsets = Array(repeating: 0, count: buffers.count), placed: [Int] = []
        for index in buffers.indices.sorted(by: { (-buffers[$0].count, $0) < (-buffers[$1].count, $1) }) {
            let neighbours = placed.filter { buffers[$0].lifetime.overlaps(buffers[index].lifetime) }
            for other in neighbours.sorted(by: { offsets[$0] < offsets[$1] })
            where offsets[other] < offsets[index] + buffers[index].count {
                offsets[index] = max(offsets[index], offsets[other] + rounded(buffers[other].count))
            }
            placed.append(index)
        }
        return Layout(
            offsets: offsets, count: buffers.indices.map { offsets[$0] + buffers[$0].count }.max() ?? 0,
            countApart: buffers.reduce(0) { $0 + rounded($1.count) })
    }
}
