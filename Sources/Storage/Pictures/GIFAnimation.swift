import CGIF
import Glibc
import Support

/// Pictures one after another, for ever, as a GIF file (GIF89a, by giflib).
public enum GIFAnimation {
    /// Writes `count` frames of one size, each made when it is needed, wholly or not at all; a file of that name is
    /// replaced. Grey pictures keep their 256 shades; of a colour picture giflib chooses the 256 colours.
    ///
    /// - Parameters:
    ///   - delay: hundredths of a second that a frame is shown.
    ///   - last: the same for the last one.
    public static func write(
        count: Int, delay: Int, last: Int, to path: String, frame: (Int) throws(Failure) -> Pixels
    ) throws(Failure) {
        precondition(count > 0, "an animation of no frames")
        let first = try frame(0)
        try AtomicFile(path).write { (temporary) throws(Failure) in
            let writer = try Writer(temporary, width: first.width, height: first.height)
            for number in 0 ..< count {
                try writer.add(number == 0 ? first : try frame(number), delay: number == count - 1 ? last : delay)
            }
            try writer.close()
        }
    }

    private final class Writer {
        private let path: String
        private let width, height: Int
        private var file: UnsafeMutablePointer<GifFileType>?
        private let greys: UnsafeMutablePointer<ColorMapObject>

        init(_ path: String, width: Int, height: Int) throws(Failure) {
            (self.path, self.width, self.height) = (path, width, height)
            let shades = (0 ..< 256).map { GifColorType(Red: UInt8($0), Green: UInt8($0), Blue: UInt8($0)) }
            greys = GifMakeMapObject(256, shades)
            // Opened here: giflib would let nobody else read the file.
            let descriptor = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0o644)
            var code: Int32 = 0
            file = descriptor < 0 ? nil : EGifOpenFileHandle(descriptor, &code)
            guard file != nil else {
                let number = errno
                if descriptor >= 0 { Glibc.close(descriptor) }
                throw descriptor >= 0
                    ? Self.failure(path, code)
                    : Failure(
                        .inputOutput, "\(path) could not be made: \(SystemError.text(number)).",
                        remedy: SystemError.remedy(number, path, writing: true))
            }
            EGifSetGifVersion(file, true)
            try check(EGifPutScreenDesc(file, Int32(width), Int32(height), 8, 0, greys))
            // The extension of Netscape 2.0 that every viewer knows: repeat without end.
            try check(EGifPutExtensionLeader(file, Int32(APPLICATION_EXT_FUNC_CODE)))
            try check(EGifPutExtensionBlock(file, 11, Array("NETSCAPE2.0".utf8)))
            try check(EGifPutExtensionBlock(file, 3, [1, 0, 0] as [UInt8]))
            try check(EGifPutExtensionTrailer(file))
        }

        deinit {
            if let file { EGifCloseFile(file, nil) }
            GifFreeMapObject(greys)
        }

        func add(_ picture: Pixels, delay: Int) throws(Failure) {
            guard picture.width == width, picture.height == height else {
                throw .badData(
                    "A frame of \(picture.width) × \(picture.height) pixels "
                        + "does not fit an animation of \(width) × \(height).",
                    remedy: "Remove the pictures of another size.")
            }
            let control: [UInt8] = [0, UInt8(truncatingIfNeeded: delay), UInt8(truncatingIfNeeded: delay >> 8), 0]
            try check(EGifPutExtension(file, Int32(GRAPHICS_EXT_FUNC_CODE), 4, control))
            var (indices, map) = picture.channels == 1 ? (picture.values, nil) : try quantised(picture)
            defer { if map != nil { GifFreeMapObject(map) } }
            try check(EGifPutImageDesc(file, 0, 0, Int32(width), Int32(height), false, map))
            try check(EGifPutLine(file, &indices, Int32(indices.count)))
        }

        /// The pixels as numbers of at most 256 colours, with these.
        private func quantised(
            _ picture: Pixels
        ) throws(Failure) -> ([UInt8], UnsafeMutablePointer<ColorMapObject>?) {
            func plane(_ channel: Int) -> [UInt8] {
                stride(from: channel, to: picture.values.count, by: 3).map { picture.values[$0] }
            }
            var (red, green, blue) = (plane(0), plane(1), plane(2))
            var indices = [UInt8](repeating: 0, count: width * height)
            var colours = [GifColorType](repeating: GifColorType(), count: 256)
            var count: Int32 = 256
            let done = GifQuantizeBuffer(UInt32(width), UInt32(height), &count, &red, &green, &blue, &indices, &colours)
            guard done == GIF_OK else { throw Self.failure(path, 0) }
            // giflib looks at five bits of each channel: the colours become the means of the pixels that have them.
            var sums = [SIMD4<Int>](repeating: .zero, count: 256)
            for (pixel, index) in indices.enumerated() {
                sums[Int(index)] &+= SIMD4(
                    Int(picture.values[3 * pixel]), Int(picture.values[3 * pixel + 1]),
                    Int(picture.values[3 * pixel + 2]), 1)
            }
            for (index, sum) in sums.enumerated() where sum[3] > 0 {
                let mean = (sum &+ sum[3] / 2) / sum[3]
                colours[index] = GifColorType(Red: UInt8(mean[0]), Green: UInt8(mean[1]), Blue: UInt8(mean[2]))
            }
            return (indices, GifMakeMapObject(256, colours))
        }

        func close() throws(Failure) {
            var code: Int32 = 0
            defer { file = nil }
            guard EGifCloseFile(file, &code) == GIF_OK else { throw Self.failure(path, code) }
        }

        private func check(_ result: Int32) throws(Failure) {
            guard result == GIF_OK else { throw Self.failure(path, file?.pointee.Error ?? 0) }
        }

        private static func failure(_ path: String, _ code: Int32) -> Failure {
            let text = GifErrorString(code).map { String(cString: $0) } ?? "giflib gives no reason"
            return Failure(
                .inputOutput, "\(path) could not be written: \(text).",
                remedy: "Check the disk and the folder's rights, then run again.")
        }
    }
}
