import Support

/// A file of the IDX format (LeCun, "THE MNIST DATABASE": two zeros, type, number of dimensions, big-endian sizes,
/// values), plain or gzip.
struct IDXFile {
    let path: String
    let dimensions: [Int]
    private let file: GzipFile

    var count: Int { dimensions[0] }
    var elements: Int { dimensions.dropFirst().reduce(1, *) }

    /// Opens a file of bytes (type 8, the only one that MNIST and its kin use) of one of the given numbers of
    /// dimensions.
    init(_ path: String, ranks: ClosedRange<Int>) throws(Failure) {
        self.path = path
        file = try GzipFile(path)
        let magic = try file.read(4, "the header")
        try Self.check(magic, ranks, path)
        let bytes = try file.read(4 * Int(magic[3]), "the header")
        dimensions = stride(from: 0, to: bytes.count, by: 4).map {
            bytes[$0 ..< $0 + 4].reduce(0) { $0 << 8 | Int($1) }
        }
        guard !dimensions.contains(0), dimensions.dropFirst().reduce(1.0, { $0 * Double($1) }) <= Double(1 << 28) else {
            throw .badData("\(path) claims the dimensions \(dimensions).", remedy: "Copy or download the file again.")
        }
    }

    /// The first four bytes must be those of an IDX file of bytes with as many dimensions as are wanted.
    private static func check(_ magic: [UInt8], _ ranks: ClosedRange<Int>, _ path: String) throws(Failure) {
        let wanted = ranks.lowerBound == 1 ? "labels, which have 1 dimension" : "images, which have 3 or 4 dimensions"
        guard magic[0] == 0, magic[1] == 0, let type = types[magic[2]], magic[3] > 0 else {
            let what = contentName(magic).map { "its content is \($0)" } ?? "it begins with \(magic)"
            throw .badData(
                "\(path) is not an IDX file of \(wanted): \(what).",
                remedy: "Download or copy the file again; .gz is read as it is, but not what is compressed twice.")
        }
        guard magic[2] == 8 else {
            throw .badData(
                "\(path) is an IDX file of \(type) (its type is \(magic[2])): only those of bytes (8) are read.",
                remedy: "Save its values as a NumPy array and import that with data import npy.")
        }
        guard ranks.contains(Int(magic[3])) else {
            throw .badData(
                "\(path) is an IDX file of \(magic[3]) dimension\(magic[3] == 1 ? "" : "s"), not of \(wanted).",
                remedy: "Name the images with --images and the labels with --labels.")
        }
    }

    private static let types: [UInt8: String] = [
        8: "bytes", 9: "signed bytes", 11: "16-bit integers", 12: "32-bit integers", 13: "32-bit floats",
        14: "64-bit floats",
    ]

    /// The next `rows` examples.
    func read(rows: Int) throws(Failure) -> [UInt8] { try file.read(rows * elements, "the values") }
    func expectEnd() throws(Failure) { try file.expectEnd() }
}

/// Importing IDX files into HDF5.
public enum IDXImport {
    /// Writes `/images` [N, H, W, C] uint8 and, where there are labels, `/labels`, to `output`.
    ///
    /// With `size` the images are put into the middle of size × size zeros, as the 28 × 28 images of MNIST into 32 ×
    /// 32.
    public static func run(
        images: String, labels: String?, size: Int?, name: String, source: String, license: String,
        to output: String, replacing: Bool = false
    ) throws(Failure) {
        try AtomicFile.refuseExisting(output, replacing: replacing)
        let file = try IDXFile(images, ranks: 3 ... 4)
        let shape = Array(file.dimensions.dropFirst()) + (file.dimensions.count == 3 ? [1] : [])
        let classes = try labels.map { (path) throws(Failure) in
            try readLabels(path, count: file.count, images: images)
        }
        let padded = try paddedShape(shape, size, images)
        let description = DatasetDescription(
            name: name, source: source, license: license, dimensions: [file.count] + padded,
            element: .uint8, range: [0, 255])
        try DatasetWriter.write(output, description, replacing: replacing) { (writer) throws(Failure) in
            let block = max(1, (1 << 22) / max(file.elements, padded.reduce(1, *)))
            for start in stride(from: 0, to: file.count, by: block) {
                let rows = min(block, file.count - start)
                try writer.append(pad(try file.read(rows: rows), rows, from: shape, to: padded))
            }
            try file.expectEnd()
            writer.labels = classes
        }
    }

    private static func readLabels(_ path: String, count: Int, images: String) throws(Failure) -> [Int] {
        let file = try IDXFile(path, ranks: 1 ... 1)
        guard file.count == count else {
            throw .badData(
                "\(path) has \(file.count) labels, \(images) has \(count) images.", remedy: "Name the files of one set."
            )
        }
        var labels: [Int] = []
        for start in stride(from: 0, to: count, by: 1 << 20) {
            labels += try file.read(rows: min(1 << 20, count - start)).map { Int($0) }
        }
        try file.expectEnd()
        return labels
    }

    private static func paddedShape(_ shape: [Int], _ size: Int?, _ path: String) throws(Failure) -> [Int] {
        guard let size else { return shape }
        guard size >= shape[0], size >= shape[1], size <= 1 << 13, size * size * shape[2] <= 1 << 28 else {
            throw .badData(
                "The images of \(path) are \(shape[0]) × \(shape[1]): "
                    + "they are padded to a larger size, not to \(size).",
                remedy: "Leave --size out, and set data.fit to resize when training.")
        }
        return [size, size, shape[2]]
    }

    /// Puts each image into the middle of zeros; an odd row or column is at the bottom or right.
    static func pad(_ images: [UInt8], _ count: Int, from: [Int], to: [Int]) -> [UInt8] {
        guard from != to else { return images }
        let row = from[1] * from[2], wideRow = to[1] * to[2], large = to.reduce(1, *)
        let start = (to[0] - from[0]) / 2 * wideRow + (to[1] - from[1]) / 2 * to[2]
        var result = [UInt8](repeating: 0, count: count * large)
        for image in 0 ..< count {
            for y in 0 ..< from[0] {
                let source = (image * from[0] + y) * row, target = image * large + start + y * wideRow
                result.replaceSubrange(target ..< target + row, with: images[source ..< source + row])
            }
        }
        return result
    }
}

/// Importing Fashion-MNIST (Xiao, Rasul, Vollgraf 2017) as Debian's package dataset-fashion-mnist installs it.
public enum FashionMNIST {
    public static let defaultFolder = "/usr/share/datasets/fashion-mnist"

    public enum Part: String, Sendable, CaseIterable {
        case train
        case test
        fileprivate var prefix: String { self == .train ? "train" : "t10k" }
    }

    /// Writes the 60,000 training images (or the 10,000 others) with their labels to `output`.
    public static func run(
        folder: String = defaultFolder, part: Part = .train, size: Int? = nil, to output: String,
        replacing: Bool = false
    ) throws(Failure) {
        do {
            try IDXImport.run(
                images: find("\(folder)/\(part.prefix)-images-idx3-ubyte"),
                labels: find("\(folder)/\(part.prefix)-labels-idx1-ubyte"),
                size: size, name: "Fashion-MNIST (\(part.rawValue))",
                source: "https://github.com/zalandoresearch/fashion-mnist",
                license: "MIT", to: output, replacing: replacing)
        } catch  where error.code == .missingInput {
            throw Failure(
                .missingInput, error.message,
                remedy: "Install it with apt-get install dataset-fashion-mnist, or name its folder with --dir.")
        }
    }

    /// The plain file where there is one, else the compressed one.
    private static func find(_ path: String) -> String { (try? InputFile(path)) == nil ? path + ".gz" : path }
}
