import Support

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
    /// The values that mean black and white, and how that is known; nil where it cannot be said, or vectors are left as
    /// they are.
    public let range: ValueRange?
    /// Why there is no range, and what to do.
    public let rangeProblem: Failure?
    public let name, source, license: String?
    public let minimum, maximum, mean: Double
    /// The labels and how many examples have each, sorted by label; nil without labels, or where something is wrong
    /// with them.
    public let labels: [(label: Int, count: Int)]?
    /// What is wrong with the labels.
    public let labelProblem: Failure?

    /// Reads all of `path`. Throws what is wrong with it, except with what not every command uses: its range and
    /// labels.
    public init(_ path: String, dataset name: String? = nil) throws(Failure) {
        let dataset = try Dataset(path, dataset: name)
        let scan = try dataset.scan()
        (self.path, self.dataset, count, shape) = (path, dataset.name, dataset.count, dataset.shape)
        (layout, type) = (dataset.layout.rawValue, dataset.storedType)
        (self.name, source, license) = (dataset.title, dataset.source, dataset.license)
        (minimum, maximum, mean) = (scan.minimum, scan.maximum, scan.mean)
        var range: ValueRange?, rangeProblem: Failure?, labels: [Int]?, labelProblem: Failure?
        if dataset.layout != .vector || dataset.isBytes {
            do { range = try dataset.rules(given: nil).range(of: scan) } catch { rangeProblem = error }
        }
        do { labels = try dataset.labels } catch { labelProblem = error }
        (self.range, self.rangeProblem, self.labelProblem) = (range, rangeProblem, labelProblem)
        self.labels = labels.map { labels in
            Dictionary(labels.map { ($0, 1) }, uniquingKeysWith: +).sorted { $0.key < $1.key }.map {
                (label: $0.key, count: $0.value)
            }
        }
    }
}
