import CPictures
import Testing
@testable import Storage

@Suite struct PictureFileTests {
    private let folder = TemporaryFolder()

    /// What gan-dist writes it reads back to the bit.
    @Test(arguments: [1, 3]) func ownPicturesKeepTheirBits(_ channels: Int) throws {
        let values = (0 ..< 37 * 23 * channels).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 31 &+ $0) }
        let picture = Pixels(width: 37, height: 23, channels: channels, values: values)
        try picture.write(to: folder.file("a b.png"))
        let read = try Pixels(file: folder.file("a b.png"))
        #expect(read.width == 37 && read.height == 23 && read.channels == channels && read.values == values)
    }

    @Test func backgrounds() {
        #expect(Background("0") == .black && Background("255") == Background(red: 255, green: 255, blue: 255))
        #expect(
            Background("1,2,3") == Background(red: 1, green: 2, blue: 3)
                && Background("#0aFf10") == Background(red: 10, green: 255, blue: 16))
        for text in ["", "256", "-1", "1,2", "1,2,3,4", "1,,3", "#12345", "#1234567", "#+12345", "#gggggg", "white"] {
            #expect(Background(text) == nil, "\(text)")
        }
    }

    @Test func orientationOfDamagedEXIFIsOne() {
        let whole: [UInt8] = [73, 73, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0]
        func orientation(_ bytes: [UInt8]) -> Int32 { picture_exif_orientation(bytes, bytes.count) }
        #expect(orientation(whole) == 6 && orientation(Array("Exif\0\0".utf8) + whole) == 6)
        for count in 0 ..< whole.count { #expect(orientation(Array(whole.prefix(count))) == 1) }
        for (index, value): (Int, UInt8) in [
            (0, 74), (4, 255), (7, 255), (8, 0), (10, 0), (12, 2), (18, 9), (18, 0), (19, 1),
        ] {
            var bytes = whole
            bytes[index] = value
            #expect(orientation(bytes) == 1, "byte \(index)")
        }
    }

    @Test func namesThatAreNotUTF8AreShown() {
        #expect(shownText(Array("é 中.png".utf8)) == "é 中.png")
        #expect(shownText([0x61, 0xE9, 0x62, 0x0A, 0xFF, 0xC3]) == "a\\xe9b\\x0a\\xff\\xc3")
        #expect(BytePath("in").appending([0xFF]).bytes.map { UInt8(bitPattern: $0) } == [105, 110, 47, 0xFF, 0])
    }
}
