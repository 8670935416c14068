import CPictures
import Glibc

/// What shows through where a picture is transparent.
public struct Background: Sendable, Equatable {
    public let red, green, blue: UInt8

    public static let black = Background(red: 0, green: 0, blue: 0)

    public init(red: UInt8, green: UInt8, blue: UInt8) { (self.red, self.green, self.blue) = (red, green, blue) }

    /// From a grey 0 … 255, three numbers with commas between them, or # and six hexadecimal digits.
    public init?(_ text: String) {
        if text.hasPrefix("#") {
            guard text.utf8.count == 7, text.dropFirst().allSatisfy(\.isHexDigit),
                let number = Int(text.dropFirst(), radix: 16)
            else { return nil }
            self.init(red: UInt8(number >> 16), green: UInt8(number >> 8 & 255), blue: UInt8(number & 255))
            return
        }
        let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { UInt8($0) }
        guard numbers.count == 1 || numbers.count == 3, let red = numbers[0], let green = numbers[numbers.count / 2],
            let blue = numbers[numbers.count - 1]
        else { return nil }
        self.init(red: red, green: green, blue: blue)
    }

    var isGrey: Bool { red == green && green == blue }
}

/// The pixels of a picture as it is stored, in memory that may be large.
final class Raster {
    let bytes: UnsafeMutablePointer<UInt8>
    let width: Int
    let height: Int
    /// 1 or 3.
    let channels: Int
    /// How it is to be turned, as in EXIF: 1 not at all, 2 … 4 mirrored or upside down, 5 … 8 with rows for columns.
    var orientation = 1

    /// Takes memory of malloc's.
    init(_ bytes: UnsafeMutablePointer<UInt8>, width: Int, height: Int, channels: Int) {
        (self.bytes, self.width, self.height, self.channels) = (bytes, width, height, channels)
    }

    deinit { free(bytes) }

    /// Makes of the samples of `picture`, which `bytes` hold, the pixels: on `background` where they are transparent,
    /// and grey by the luma of ITU-R 601 where one channel is wanted.
    func flatten(_ picture: picture, on background: Background) {
        let components = Int(picture.components), count = width * height
        if components == channels { return }
        let green = components > 2 ? 1 : 0, blue = components > 2 ? 2 : 0
        let isStraight = picture.alpha == PICTURE_STRAIGHT.rawValue, isOpaque = picture.alpha == PICTURE_OPAQUE.rawValue
        // In place: what grows is written from its end on.
        let isLarger = components < channels
        for number in 0 ..< count {
            let pixel = isLarger ? count - 1 - number : number
            let sample = bytes + pixel * components
            var colour = SIMD3(Int32(sample[0]), Int32(sample[green]), Int32(sample[blue]))
            if !isOpaque {
                let alpha = Int32(sample[components - 1])
                let under =
                    SIMD3(
                        Int32(background.red), Int32(background.green),
                        Int32(background.blue)) &* (255 &- alpha)
                colour = isStraight ? (colour &* alpha &+ under &+ 127) / 255 : colour &+ (under &+ 127) / 255
                colour.clamp(lowerBound: .zero, upperBound: SIMD3(repeating: 255))
            }
            let target = bytes + pixel * channels
            if channels == 1 {
                // In units of 1/65536: 0.299, 0.587 and 0.114, which add up to 1.
                target[0] = UInt8(((colour &* SIMD3(19595, 38470, 7471)).wrappedSum() &+ 0x8000) >> 16)
            } else {
                (target[0], target[1], target[2]) = (UInt8(colour.x), UInt8(colour.y), UInt8(colour.z))
            }
        }
    }

    /// The whole picture, turned.
    func turned() -> Pixels {
        let values = Array(UnsafeBufferPointer(start: bytes, count: width * height * channels))
        return turn(Pixels(width: width, height: height, channels: channels, values: values))
    }

    /// The largest square in the middle, scaled and turned: [size, size, channels].
    func square(_ size: Int) -> [UInt8] {
        if width == size, height == size { return turned().values }
        let side = min(width, height)
        // An odd pixel more is at the right or bottom of the turned picture.
        let (spareX, spareY) = (width - side, height - side)
        let scaled = AreaMean(from: side, to: size).scaled(
            bytes, width: width, channels: channels, left: columnsDescend ? spareX - spareX / 2 : spareX / 2,
            top: rowsDescend ? spareY - spareY / 2 : spareY / 2)
        return turn(Pixels(width: size, height: size, channels: channels, values: scaled)).values
    }

    private var columnsDescend: Bool { [2, 3, 7, 8].contains(orientation) }
    private var rowsDescend: Bool { [3, 4, 6, 7].contains(orientation) }

    private func turn(_ stored: Pixels) -> Pixels {
        if orientation == 1 { return stored }
        let (width, height) = orientation > 4 ? (stored.height, stored.width) : (stored.width, stored.height)
        var values: [UInt8] = []
        values.reserveCapacity(stored.values.count)
        for y in 0 ..< height {
            for x in 0 ..< width {
                let (column, row) = orientation > 4 ? (y, x) : (x, y)
                let sourceX = columnsDescend ? stored.width - 1 - column : column
                let sourceY = rowsDescend ? stored.height - 1 - row : row
                let start = (sourceY * stored.width + sourceX) * channels
                values += stored.values[start ..< start + channels]
            }
        }
        return Pixels(width: width, height: height, channels: channels, values: values)
    }
}

/// Scaling a square by the mean of what each new pixel covers: every old pixel counts by the area that they share.
struct AreaMean {
    private let size: Int
    /// For each new pixel of a line, the old ones that it covers and their shares, which add up to 1.
    private let shares: [[(index: Int, share: Double)]]

    init(from side: Int, to size: Int) {
        self.size = size
        let ratio = Double(side) / Double(size)
        shares = (0 ..< size).map { pixel in
            let (start, end) = (Double(pixel) * ratio, Double(pixel + 1) * ratio)
            return (Int(start) ..< min(side, Int(end.rounded(.up)))).map { index in
                (index, (min(end, Double(index + 1)) - max(start, Double(index))) / ratio)
            }.filter { $0.1 > 0 }
        }
    }

    /// The square at (`left`, `top`) of pictures `width` pixels wide, scaled; bytes rounded to the nearest.
    func scaled(_ pixels: UnsafePointer<UInt8>, width: Int, channels: Int, left: Int, top: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: size * size * channels)
        for y in 0 ..< size {
            for x in 0 ..< size {
                for channel in 0 ..< channels {
                    var sum = 0.0
                    for (row, height) in shares[y] {
                        for (column, breadth) in shares[x] {
                            sum +=
                                height * breadth
                                * Double(pixels[((top + row) * width + left + column) * channels + channel])
                        }
                    }
                    result[(y * size + x) * channels + channel] = UInt8(min(255, sum.rounded()))
                }
            }
        }
        return result
    }
}
