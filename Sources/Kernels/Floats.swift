import Glibc

/// A view of contiguous float32 values: a pointer and a count.
///
/// It owns nothing: whoever made the memory (a ``FloatBuffer``) keeps it alive. Indices are checked in debug builds
/// only. It is the one type by which the modules above hand numbers to the kernels, so that they never touch a
/// pointer.
public struct Floats: @unchecked Sendable {
    public let base: UnsafeMutablePointer<Float>
    public let count: Int

    @inlinable public init(_ base: UnsafeMutablePointer<Float>, count: Int) {
        self.base = base
        self.count = count
    }

    /// Nothing: zero values.
    public static let none = Floats(UnsafeMutablePointer<Float>.allocate(capacity: 1), count: 0)

    @inlinable public subscript(index: Int) -> Float {
        get {
            assert(index >= 0 && index < count, "index \(index) outside 0 ..< \(count)")
            return base[index]
        }
        nonmutating set {
            assert(index >= 0 && index < count, "index \(index) outside 0 ..< \(count)")
            base[index] = newValue
        }
    }

    /// The part `range` of these values, sharing their memory.
    @inlinable public subscript(range: Range<Int>) -> Floats {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range \(range) outside 0 ..< \(count)")
        return Floats(base + range.lowerBound, count: range.count)
    }

    @inlinable public func fill(_ value: Float) { base.update(repeating: value, count: count) }

    /// Copies all of `source` into the first values here.
    @inlinable public func copy(from source: Floats) {
        precondition(source.count <= count, "copy of \(source.count) values into room for \(count)")
        base.update(from: source.base, count: source.count)
    }

    /// The values as bytes, for files, hashes and messages.
    @inlinable public var bytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base, count: count * MemoryLayout<Float>.stride)
    }

    /// The values copied into an array: for tests, reports and files, not for the step.
    public var array: [Float] { Array(UnsafeBufferPointer(start: base, count: count)) }
}

/// The owner of contiguous float32 memory, aligned to 64 bytes (a cache line, an AVX-512 vector) and zeroed.
public final class FloatBuffer: @unchecked Sendable {
    /// Valid as long as a variable or property holds the buffer: `FloatBuffer(count: 8).values` is freed at once.
    public let values: Floats
    /// Whose the memory is, where it is not this buffer's.
    private let owner: AnyObject?

    public convenience init(count: Int) {
        guard let memory = FloatBuffer.allocate(count) else {
            FloatBuffer.whenOutOfMemory(FloatBuffer.bytes(count))
        }
        self.init(memory, count)
    }

    /// Nil where there is no memory: for what the program can do without.
    public convenience init?(countIfThereIsRoom count: Int) {
        guard let memory = FloatBuffer.allocate(count) else { return nil }
        self.init(memory, count)
    }

    private init(_ memory: UnsafeMutableRawPointer, _ count: Int) {
        memset(memory, 0, FloatBuffer.bytes(count))
        values = Floats(memory.bindMemory(to: Float.self, capacity: max(count, 16)), count: count)
        owner = nil
    }

    /// Memory of `owner`'s, such as a window that several processes share, which it holds on to.
    public init(_ values: Floats, of owner: AnyObject) {
        (self.values, self.owner) = (values, owner)
    }

    /// Called where memory is wanted that is not there: a limit may be met anywhere, where no caller could go on. A
    /// program sets it once, before all else, to end with words and an exit code of its own.
    public nonisolated(unsafe) static var whenOutOfMemory: @Sendable (_ bytes: Int) -> Never = {
        fatalError("out of memory: there is no room for \($0) bytes more")
    }

    private static func bytes(_ count: Int) -> Int { max(count, 16) * MemoryLayout<Float>.stride }

    private static func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
        precondition(count >= 0, "a buffer of \(count) values")
        var memory: UnsafeMutableRawPointer?
        // Large memory in pages of 2 MB, where the system has them: the transforms of a convolution write to more
        // places at a time than the processor has room for the addresses of small pages.
        let size = bytes(count), page = 2 << 20, isLarge = size >= 2 * page
        guard posix_memalign(&memory, isLarge ? page : 64, size) == 0 else { return nil }
        if isLarge { madvise(memory, size, MADV_HUGEPAGE) }
        return memory
    }

    public convenience init(_ array: [Float]) {
        self.init(count: array.count)
        for (index, value) in array.enumerated() { values[index] = value }
    }

    deinit { if owner == nil { free(values.base) } }

    public var count: Int { values.count }

    /// The values copied into an array; safe on a buffer that nobody else holds, where a view would outlive it.
    public var array: [Float] { withExtendedLifetime(self) { values.array } }
}
