import Host
import Testing
import Training

/// Learning rates against transformers' own; see Tests/Oracles/optimizers.py.
@Suite struct ScheduleTests {
    @Test func schedulesGiveTransformersRates() throws {
        let cases = try Golden("optimizers", Registry(.standard())).json("schedules.json").object
        var kinds: Set<String> = []
        for (name, golden) in try #require(cases) {
            let kindName = try #require(golden["name"]?.string)
            let kind = try #require(Schedule.Kind(rawValue: kindName), "\(kindName)")
            let schedule = Schedule(
                kind, peak: try #require(golden["base"]?.double), steps: try #require(golden["total_steps"]?.int),
                warmup: try #require(golden["warmup_steps"]?.int), options: golden["kwargs"] ?? [:])
            try schedule.check()
            let wanted = golden["learning_rate"]?.array?.compactMap(\.double) ?? []
            #expect(wanted.count == schedule.steps)
            for (step, rate) in wanted.enumerated() {
                #expect(abs(schedule.rate(step) - rate) <= 1e-12 + 1e-9 * rate, "\(name), step \(step)")
            }
            kinds.insert(kindName)
        }
        #expect(kinds == Set(Schedule.Kind.allCases.map(\.rawValue)))
    }

    @Test func unknownOptionsAreNamed() {
        #expect {
            try Schedule(.cosine, peak: 1, steps: 10, options: ["cycles": 2]).check()
        } throws: { "\($0)".contains("\"cycles\"") && "\($0)".contains("num_cycles") }
        #expect(throws: TrainingError.self) {
            try Schedule(.warmupStableDecay, peak: 1, steps: 10, options: ["decay_type": "round"]).check()
        }
    }
}
