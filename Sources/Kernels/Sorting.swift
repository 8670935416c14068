/// Numbers in ascending order.
public enum Sorting {
    /// Sorts finite values in place, by their bits: three passes of 11 bits, least significant first (radix sort),
    /// whose time grows with the count alone. `scratch` has as much room.
    public static func sort(_ values: Floats, scratch: Floats) {
        precondition(scratch.count >= values.count, "room for \(scratch.count) values to sort \(values.count)")
        let count = values.count
        withUnsafeTemporaryAllocation(of: Int.self, capacity: 3 * 2048) { counts in
            counts.update(repeating: 0)
            for index in 0 ..< count {
                let key = key(values.base[index])
                counts[Int(key & 2047)] &+= 1
                counts[2048 &+ Int(key >> 11 & 2047)] &+= 1
                counts[4096 &+ Int(key >> 22)] &+= 1
            }
            var source = values.base, target = scratch.base
            for pass in 0 ..< 3 {
                let places = counts.baseAddress! + pass * 2048, shift = UInt32(11 * pass)
                var next = 0
                for digit in 0 ..< 2048 { (places[digit], next) = (next, next + places[digit]) }
                for index in 0 ..< count {
                    let value = source[index]
                    let digit = Int(key(value) >> shift & 2047)
                    target[places[digit]] = value
                    places[digit] &+= 1
                }
                swap(&source, &target)
            }
        }
        // After three passes the values lie in the scratch memory.
        values.base.update(from: scratch.base, count: count)
    }

    /// An integer of the same order: negative floats have their bits inverted, positive ones their sign bit set.
    @inline(__always)
    private static func key(_ value: Float) -> UInt32 {
        let bits = value.bitPattern
        return bits ^ (UInt32(bitPattern: Int32(bitPattern: bits) >> 31) | 0x8000_0000)
    }
}
