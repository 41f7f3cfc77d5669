import Glibc

/// A curve over steps with the axes that it wants.
struct Chart {
    struct Point {
        var step: Double
        var value: Double
    }
    let title: String
    let points: [Point]
    /// The same, smoothed.
    let smooth: [Point]
    let steps: Axis
    let values: Axis

    /// A range cut into round parts.
    struct Axis {
        let low, high: Double
        let ticks: [Double]
        private let spacing: Double

        init(_ low: Double, _ high: Double, parts: Double) {
            let range = high > low ? high - low : max(abs(low), 1) * 0.1
            let raw = range / parts
            let decade = pow(10, floor(log10(raw)))
            let factor = [1, 2, 5, 10].first { $0 * decade >= raw } ?? 10
            let spacing = factor * decade
            let first = floor(low / spacing), last = max(first + 1, ceil((low + range) / spacing))
            self.spacing = spacing
            self.low = first * spacing
            self.high = last * spacing
            ticks = (0...Int(min(50, last - first))).map { (first + Double($0)) * spacing }
        }

        /// 0 at the low end and 1 at the high one.
        func share(_ value: Double) -> Double { (value - low) / (high - low) }

        /// A tick's text with as many places as the spacing needs.
        func label(_ tick: Double) -> String {
            if tick == 0 { return "0" }
            if spacing < 1e-4 || abs(tick) >= 1e6 { return String(Float(tick)) }
            let places = max(0, Int(ceil(-log10(spacing) - 1e-9)))
            let unit = pow(10, Double(places))
            let text = String((tick * unit).rounded() / unit)
            return places == 0 && text.hasSuffix(".0") ? String(text.dropLast(2)) : text
        }
    }

    init(_ title: String, _ points: [Point]) {
        self.title = title
        let finite = points.filter { $0.value.isFinite }
        self.points = finite
        // An exponential mean that corrects for its beginning, as TensorBoard draws it.
        var mean = 0.0, weight = 0.0
        smooth = finite.map { point in
            mean = 0.9 * mean + 0.1 * point.value
            weight = 0.9 * weight + 0.1
            return Point(step: point.step, value: mean / weight)
        }
        steps = Axis(finite.map(\.step).min() ?? 0, finite.map(\.step).max() ?? 1, parts: 6)
        values = Axis(finite.map(\.value).min() ?? 0, finite.map(\.value).max() ?? 1, parts: 6)
    }

    // MARK: Layout, in pixels

    static let width = 800
    static let height = 480
    private static let (left, right, top, bottom) = (88.0, 24.0, 40.0, 40.0)
    var area: (x0: Double, y0: Double, x1: Double, y1: Double) {
        (Self.left, Self.top, Double(Self.width) - Self.right, Double(Self.height) - Self.bottom)
    }

    func x(_ step: Double) -> Double { area.x0 + steps.share(step) * (area.x1 - area.x0) }
    func y(_ value: Double) -> Double { area.y1 - values.share(value) * (area.y1 - area.y0) }
}
