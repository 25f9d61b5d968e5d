// See doctor.h.
#include "moga/bench/doctor.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <sys/utsname.h>
#include <torch/autograd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "moga/attention/attend.h"
#include "moga/bench/random_model.h"
#include "moga/core/check.h"
#include "moga/core/choice.h"
#include "moga/core/device.h"
#include "moga/core/format.h"
#include "moga/core/log.h"

namespace moga {
namespace {

constexpr int64_t kHeadSize = 128;

// "Debian GNU/Linux 12 (bookworm), Linux 6.1.0 x86_64"
std::string system_text() {
  std::string name;
  std::ifstream file("/etc/os-release");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("PRETTY_NAME=\"")) name = line.substr(13, line.size() - 14) + ", ";
  utsname system{};
  if (uname(&system) != 0) return name;
  return name + system.sysname + " " + system.release + " " + system.machine;
}

struct Results {
  at::Tensor output, dq, dk, dv;
};

// Five groups, one of them empty and one of a single token.
Grouping test_grouping(c10::Device device) {
  const Rows rows = make_rows({700, 1, 0, 900, 447}, {}, device);
  return {rows, rows};
}

Results attention_of(const std::array<at::Tensor, 4>& random, c10::ScalarType dtype, AttentionBackend backend) {
  std::array<at::Tensor, 3> leaves;
  for (size_t i = 0; i < 3; ++i) leaves[i] = random[i].to(dtype).detach().requires_grad_();
  const auto [q, k, v] = leaves;
  const at::Tensor output = attend(q, k, v, test_grouping(q.device()), backend).output;
  const auto grads = torch::autograd::grad({output}, {q, k, v}, {random[3].to(dtype)});
  return {output.detach(), grads[0], grads[1], grads[2]};
}

double relative(const at::Tensor& actual, const at::Tensor& expected) {
  const at::Tensor wide = expected.to(at::kDouble);
  return ((actual.to(at::kDouble) - wide).norm() / wide.norm()).item<double>();
}

double largest_error(const Results& actual, const Results& expected) {
  return std::max({relative(actual.output, expected.output), relative(actual.dq, expected.dq),
                   relative(actual.dk, expected.dk), relative(actual.dv, expected.dv)});
}

std::vector<BackendTest> test_backends(const std::vector<BackendState>& backends, c10::Device device,
                                       c10::ScalarType dtype) {
  std::array<at::Tensor, 4> random;
  for (size_t i = 0; i < random.size(); ++i)  // rounded first, so that all see the same numbers
    random[i] = random_tensor({2048, 4, kHeadSize}, static_cast<int64_t>(i), device, dtype);
  const Results exact = attention_of(random, at::kDouble, AttentionBackend::kReference);
  const double plain = largest_error(attention_of(random, dtype, AttentionBackend::kReference), exact);
  std::vector<BackendTest> tests;
  for (const BackendState& state : backends) {
    const auto backend = choice<AttentionBackend>("backend", state.name);
    if (state.usable && backend != AttentionBackend::kReference)
      tests.push_back({state.name, largest_error(attention_of(random, dtype, backend), exact), 2 * plain + 1e-6});
  }
  return tests;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

class Page {
 public:
  void row(const char* name, const std::string& value) { text_ += formatted("%-12s ", name) + value + "\n"; }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void add_gpus(const MachineReport& report, Page& page) {
  if (!report.driver.problem.empty()) return page.row("GPU", "none: " + report.driver.problem);
  const int version = report.driver.cuda_version;
  page.row("driver", formatted("serves CUDA up to %d.%d", version / 1000, version % 1000 / 10));
  for (size_t i = 0; i < report.driver.gpus.size(); ++i) {
    const GpuFacts& gpu = report.driver.gpus[i];
    std::vector<std::string> peers;
    for (const int peer : gpu.peers) peers.push_back("cuda:" + std::to_string(peer));
    page.row(formatted("cuda:%zu", i).c_str(),
             gpu.name + formatted(", compute capability %d.%d, ", gpu.capability_major, gpu.capability_minor) +
                 format_bytes(gpu.memory) + (peers.empty() ? "" : ", reaches " + joined(peers) + " directly"));
  }
  if (!report.without_gpu.empty()) page.row("not used", report.without_gpu);
}

void add_backends(const MachineReport& report, Page& page) {
  for (const BackendState& state : report.backends)
    page.row(&state == &report.backends.front() ? "attention" : "",
             state.name +
                 (state.chosen   ? ", used: "
                  : state.usable ? ", can be chosen: "
                                 : ", not for " + report.dtype + " here; it serves ") +
                 state.serves);
  for (const BackendTest& test : report.tests)
    page.row(&test == &report.tests.front() ? "self-test" : "",
             test.backend + formatted(": relative error %.1e, allowed %.1e: ", test.error, test.allowed) +
                 (test.passed() ? "passed" : "FAILED"));
}

void add_codecs(const VideoCodecs& codecs, Page& page) {
  if (codecs.library.empty()) return page.row("video", "built without FFmpeg: only .y4m");
  page.row("video", codecs.library + ", reads " + joined(codecs.reads) +
                        (codecs.lacks.empty() ? "" : "; lacks " + joined(codecs.lacks)));
  if (!codecs.writes_h264) page.row("", "no libx264: MP4 files cannot be written, use .y4m");
}

}  // namespace

bool MachineReport::healthy() const {
  return without_gpu.empty() && std::ranges::all_of(tests, [](const BackendTest& test) { return test.passed(); });
}

MachineReport examine_machine(const std::string& name) {
  MachineReport report;
  report.driver = driver_facts();
  const c10::Device device = parse_device(name);
  const c10::ScalarType dtype = compute_dtype("auto", device);
  if (name == "auto" && device.is_cpu() && report.driver.problem.empty()) {
    try {
      parse_device("cuda");
    } catch (const Error& error) {
      report.without_gpu = error.what();
    }
  }
  report.system = system_text();
  report.processor = device_name(c10::kCPU);
  report.device = device_name(device);
  report.dtype = dtype_name(dtype);
  report.processors = std::thread::hardware_concurrency();
  report.threads = at::get_num_threads();
  report.memory = device_memory(c10::kCPU);
  if (device.is_cuda()) report.gpu_memory = device_memory(device);
  report.codecs = video_codecs();
  report.backends = backend_states(device, dtype, kHeadSize);
  report.tests = test_backends(report.backends, device, dtype);
  Meter meter(device, {.warm_up = 1, .repeats = 10, .seconds = 2});
  report.rates = measure_rates(meter, dtype);
  return report;
}

std::string to_text(const MachineReport& report) {
  Page page;
  page.row("system", report.system);
  page.row("processor",
           report.processor + formatted(", %ld processors, %ld threads used", static_cast<long>(report.processors),
                                        static_cast<long>(report.threads)));
  page.row("memory", format_bytes(report.memory.free) + " free of " + format_bytes(report.memory.total));
  add_gpus(report, page);
  page.row("computes on",
           report.device + ", " + report.dtype +
               (report.gpu_memory.total > 0 ? ", " + format_bytes(report.gpu_memory.free) + " free" : ""));
  add_backends(report, page);
  page.row("rates", formatted("products of %ld x %ld matrices: %.3g TFLOP/s; copies: %.3g GB/s",
                              static_cast<long>(report.rates.matrix_size), static_cast<long>(report.rates.matrix_size),
                              report.rates.matrix_flops / 1e12, report.rates.copy_bytes / 1e9));
  add_codecs(report.codecs, page);
  return page.take();
}

std::string to_json_text(const MachineReport& report) {
  nlohmann::ordered_json json = {{"healthy", report.healthy()},
                                 {"system", report.system},
                                 {"processor", report.processor},
                                 {"processors", report.processors},
                                 {"threads", report.threads},
                                 {"memory_free_bytes", report.memory.free},
                                 {"memory_bytes", report.memory.total},
                                 {"device", report.device},
                                 {"dtype", report.dtype},
                                 {"device_free_bytes", report.gpu_memory.free},
                                 {"gpu_problem", report.driver.problem + report.without_gpu},
                                 {"cuda_version_of_driver", report.driver.cuda_version},
                                 {"matrix_flops", report.rates.matrix_flops},
                                 {"copy_bytes_per_second", report.rates.copy_bytes},
                                 {"video_library", report.codecs.library},
                                 {"writes_h264", report.codecs.writes_h264},
                                 {"reads", report.codecs.reads}};
  for (const GpuFacts& gpu : report.driver.gpus)
    json["gpus"].push_back({{"name", gpu.name},
                            {"capability", {gpu.capability_major, gpu.capability_minor}},
                            {"memory_bytes", gpu.memory},
                            {"peers", gpu.peers}});
  for (const BackendState& state : report.backends)
    json["backends"].push_back(
        {{"name", state.name}, {"serves", state.serves}, {"usable", state.usable}, {"used", state.chosen}});
  for (const BackendTest& test : report.tests)
    json["self_test"].push_back(
        {{"backend", test.backend}, {"error", test.error}, {"allowed", test.allowed}, {"passed", test.passed()}});
  return json.dump(2) + "\n";
}

}  // namespace moga
