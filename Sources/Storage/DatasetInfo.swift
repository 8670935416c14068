/// What `data info` shows and `data verify` has checked: every value was read, and is a finite number within the range.
public struct DatasetInfo: Sendable {
    public let path: String
    public let dataset: String
    public let count: Int
    /// [H, W, C] or [D].
    public let shape: [Int]
    public let layout: String
    /// As stored, such as "uint8".
    public let type: String
    /// The values that mean black and white, given or found; nil where that cannot be said.
    public let range: ClosedRange<Double>?
    /// Whether the file gives the range.
    public let rangeIsDeclared: Bool
    public let name, source, license: String?
    public let minimum, maximum, mean: Double
    /// The labels and how many examples have each, sorted by label; nil without labels.
    public let labels: [(label: Int, count: Int)]?

    /// Reads all of `path`. Throws what is wrong with it.
    public init(_ path: String, dataset name: String? = nil) throws(StorageError) {
        let dataset = try Dataset(path, dataset: name)
        let scan = try dataset.scan()
        (self.path, self.dataset, count, shape) = (path, dataset.name, dataset.count, dataset.shape)
        (layout, type) = (dataset.layout.rawValue, dataset.storedType)
        range = try? dataset.range(ofValuesFrom: scan.minimum, to: scan.maximum)
        rangeIsDeclared = dataset.declaredRange != nil
        (self.name, source, license) = (dataset.title, dataset.source, dataset.license)
        (minimum, maximum, mean) = (scan.minimum, scan.maximum, scan.mean)
        labels = dataset.labels.map { labels in
            Dictionary(labels.map { ($0, 1) }, uniquingKeysWith: +).sorted { $0.key < $1.key }.map { (label: $0.key, count: $0.value) }
        }
    }
}
