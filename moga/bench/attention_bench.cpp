// See attention_bench.h.
#include "moga/bench/attention_bench.h"

#include <ATen/ATen.h>
#include <torch/autograd.h>

#include <charconv>

#include "moga/attention/attend.h"
#include "moga/bench/dense_attention.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/core/random.h"

namespace moga {
namespace {

struct Case {
  BenchCase kind;
  int64_t groups = 0;  // of those with a number of groups
};

constexpr int64_t kMostGroups = 65535;

bool has_groups(BenchCase kind) {
  return kind == BenchCase::kEqual || kind == BenchCase::kUnequal || kind == BenchCase::kRouted;
}

// "dense, equal:M, …"
std::string case_list() {
  std::string list;
  for (const auto& known : kChoices<BenchCase>)
    list += (list.empty() ? "" : ", ") + std::string(known.name) + (has_groups(known.value) ? ":M" : "");
  return list;
}

// The groups in "equal:5": 5. 0 for anything but a whole number in range; -1 without a colon.
int64_t groups_in(const std::string& name) {
  const size_t colon = name.find(':');
  if (colon == std::string::npos) return -1;
  int64_t groups = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + colon + 1, end, groups);
  return error == std::errc() && rest == end && groups > 0 && groups <= kMostGroups ? groups : 0;
}

Case parse_case(const std::string& name) {
  const std::string kind = name.substr(0, name.find(':'));
  const int64_t groups = groups_in(name);
  for (const auto& known : kChoices<BenchCase>)
    if (kind == known.name && (has_groups(known.value) ? groups > 0 : groups == -1)) return {known.value, groups};
  fail("case '", name, "' is not one of ", case_list(), " (M: 1 to ", kMostGroups, " groups)");
}

// Divides N into lengths that increase evenly from 0.5 to 1.5 times the mean.
std::vector<int64_t> unequal_lengths(int64_t tokens, int64_t groups) {
  std::vector<int64_t> lengths;
  int64_t begin = 0;
  double end = 0;
  for (int64_t g = 0; g < groups; ++g) {
    const double share = groups == 1 ? 1.0 : 0.5 + static_cast<double>(g) / static_cast<double>(groups - 1);
    end += share * static_cast<double>(tokens) / static_cast<double>(groups);
    const int64_t next = g + 1 == groups ? tokens : std::min<int64_t>(tokens, std::llround(end));
    lengths.push_back(next - begin);
    begin = next;
  }
  return lengths;
}

Grouping self_groups(const std::vector<int64_t>& lengths, c10::Device device) {
  const Rows rows = make_rows(lengths, {}, device);
  return {rows, rows};
}

struct Inputs {
  at::Tensor q, k, v, grad;  // [N, H, D]
};

Inputs make_inputs(const AttentionBenchConfig& config, const BenchSetup& setup) {
  const auto draw = [&](int64_t index) {
    const auto generator = random_stream(0, "bench", index, setup.device);
    return at::randn({config.video.tokens(), config.heads, config.head_dim}, generator,
                     at::TensorOptions(setup.dtype).device(setup.device));
  };
  return {draw(0), draw(1), draw(2), draw(3)};
}

using Attention = std::function<at::Tensor(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v)>;

Measurement measure_forward(Meter& meter, const Inputs& in, const Attention& attention) {
  const at::NoGradGuard no_grad;
  return meter.measure([&] { attention(in.q, in.k, in.v); });
}

// Runs only the backward pass, repeatedly on one graph.
Measurement measure_backward(Meter& meter, const Inputs& in, const Attention& attention) {
  const std::vector<at::Tensor> leaves = {in.q.detach().requires_grad_(), in.k.detach().requires_grad_(),
                                          in.v.detach().requires_grad_()};
  const at::Tensor output = attention(leaves[0], leaves[1], leaves[2]);
  return meter.measure([&] { torch::autograd::grad({output}, leaves, {in.grad}, /*retain_graph=*/true); });
}

class Runner {
 public:
  Runner(const AttentionBenchConfig& config, const BenchSetup& setup, Meter& meter)
      : setup_(setup),
        meter_(meter),
        inputs_(make_inputs(config, setup)),
        pair_(4.0 * static_cast<double>(config.heads * config.head_dim)) {}

  const Inputs& inputs() const { return inputs_; }

  std::vector<BenchRow> run(const std::string& work, const std::string& backend, double pairs,
                            const Attention& attention) {
    stop_if_interrupted();
    log_info("measuring ", work, ", ", backend);
    std::vector<BenchRow> rows;
    rows.push_back({work, backend, "forward", measure_forward(meter_, inputs_, attention), pair_ * pairs, {}});
    if (setup_.backward)
      rows.push_back(
          {work, backend, "backward", measure_backward(meter_, inputs_, attention), 2.5 * pair_ * pairs, {}});
    return rows;
  }

 private:
  const BenchSetup& setup_;
  Meter& meter_;
  Inputs inputs_;
  double pair_;  // FLOP per query-key pair, forward
};

nlohmann::ordered_json sizes_of(const AttentionBenchConfig& config) {
  const VideoShape& video = config.video;
  return {{"tokens", video.tokens()},
          {"frames", video.frames},
          {"rows", video.rows},
          {"columns", video.columns},
          {"shots", video.shots()},
          {"heads", config.heads},
          {"head_dim", config.head_dim},
          {"windows", std::to_string(config.windows.rows) + "x" + std::to_string(config.windows.columns)},
          {"run_frames", config.windows.run_frames},
          {"boundary_frames", config.windows.boundary_frames}};
}

}  // namespace

void AttentionBenchConfig::validate() const {
  video.validate();
  windows.validate();
  check(heads > 0 && head_dim > 0, "attention of ", heads, " heads of size ", head_dim);
  check(!cases.empty(), "no case to measure");
  for (const std::string& name : cases) parse_case(name);
}

Grouping bench_grouping(const std::string& name, const AttentionBenchConfig& config, c10::Device device) {
  const Case parsed = parse_case(name);
  const Layout layout{{config.video}};
  const int64_t tokens = config.video.tokens();
  switch (parsed.kind) {
    case BenchCase::kDense:
      return full_groups(layout, device);
    case BenchCase::kEqual:
      return self_groups(equal_cuts(tokens, parsed.groups), device);
    case BenchCase::kUnequal:
      return self_groups(unequal_lengths(tokens, parsed.groups), device);
    case BenchCase::kWindows:
      return window_groups(layout, config.windows, device);
    case BenchCase::kFrames:
      return frame_groups(layout, device);
    case BenchCase::kRouted:
      break;
  }
  const at::Tensor group = at::randint(parsed.groups, {tokens}, random_stream(0, "bench groups"), at::kLong);
  return routed_groups(layout, group.to(device), parsed.groups);
}

double pairs_of(const Grouping& grouping) {
  const auto lengths = [](const Rows& rows) { return rows.offsets.cpu().diff().to(at::kDouble); };
  return lengths(grouping.query).dot(lengths(grouping.key)).item<double>();
}

BenchReport bench_attention(const AttentionBenchConfig& config, const BenchSetup& setup) {
  config.validate();
  Meter meter(setup.device, setup.meter);
  BenchReport report{"attention", device_name(setup.device), dtype_name(setup.dtype), sizes_of(config), {}, {}, {}};
  report.rates = measure_rates(meter, setup.dtype);
  Runner runner(config, setup, meter);
  const at::Tensor& q = runner.inputs().q;
  const double tokens = static_cast<double>(config.video.tokens());
  report.rows = runner.run("dense", dense_backend(q), tokens * tokens, dense_attention);
  const std::vector<BenchRow> dense = report.rows;
  report.ratio = std::string("over dense ") + dense_backend(q);
  const AttentionBackend backend = setup.backend == AttentionBackend::kAuto ? default_backend(q) : setup.backend;
  for (const std::string& name : config.cases) {
    const Grouping grouping = bench_grouping(name, config, setup.device);
    const auto rows = runner.run(
        name, name_of(backend), pairs_of(grouping),
        [&](const auto& q, const auto& k, const auto& v) { return attend(q, k, v, grouping, backend).output; });
    report.rows.insert(report.rows.end(), rows.begin(), rows.end());
  }
  for (size_t i = 0; i < report.rows.size(); ++i)
    report.rows[i].ratio = report.rows[i].rate() / dense[i % dense.size()].rate();
  return report;
}

}  // namespace moga
