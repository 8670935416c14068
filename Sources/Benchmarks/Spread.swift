import Foundation

/// What is said of times that were measured several times.
struct Spread {
    let median: Double
    let minimum: Double
    /// Between them lies the middle half of the values.
    let quartiles: [Double]

    init(_ values: [Double]) {
        median = quantile(0.5, of: values)
        minimum = values.min()!
        quartiles = [quantile(0.25, of: values), quantile(0.75, of: values)]
    }
}

/// The value below which a share of `values` lies, linear between neighbours: Hyndman & Fan 1996, definition 7.
func quantile(_ share: Double, of values: [Double]) -> Double {
    let sorted = values.sorted()
    let place = share * Double(sorted.count - 1), below = Int(place)
    let above = min(below + 1, sorted.count - 1)
    return sorted[below] + (place - Double(below)) * (sorted[above] - sorted[below])
}

func median(_ values: [Double]) -> Double { quantile(0.5, of: values) }

/// The same as a table shows it, in milliseconds.
func timesText(median: Double, minimum: Double, quartiles: [Double]) -> String {
    String(
        format: "median %9.3f ms   minimum %9.3f ms   quartiles %9.3f – %9.3f ms", median * 1e3, minimum * 1e3,
        quartiles[0] * 1e3, quartiles[1] * 1e3)
}
