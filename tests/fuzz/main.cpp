// fuzz_files, fuzz_models and fuzz_training: mutated files of every kind that the program reads, through the readers
// themselves. Deterministic: a case is a function of (seed, target, number).
//
// A case fails when it crashes, takes more than ten seconds, ends in an error that is not ours or has several lines, or
// is accepted although something else was used. --keep stores every case and its verdict. Meant for a sanitizer
// build; see CONTRIBUTING.md.
//
//   fuzz_files [--count 100] [--first 0] [--seed 1] [--keep FOLDER] ["KIND"…]
#include <ATen/Parallel.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "tests/fuzz/agree.h"
#include "tests/fuzz/target.h"
#include "tests/support/folder.h"

// One allocation beyond 2 GiB is a size that was not compared with the file's.
extern "C" const char* __asan_default_options() { return "detect_leaks=0:max_allocation_size_mb=2048"; }

namespace moga::test {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kMostSeconds = 10;

struct Options {
  std::vector<std::string> targets;
  int64_t count = 100, seed = 1, first = 0;
  std::string keep;
};

struct Result {
  int64_t accepted = 0, refused = 0, failed = 0;
  double longest = 0;
};

enum class Verdict { kAccepted, kRefused, kFailed };

// The case under way, for the message of a hang.
std::string under_way;
extern "C" void report_hang(int) {
  const std::string text = "FAILED " + under_way + ": takes more than 10 s\n";
  if (write(STDOUT_FILENO, text.data(), text.size()) < 0) _exit(3);
  _exit(2);
}

// `text`: the error.
Verdict read_case(const Target& target, const fs::path& path, const std::string& bytes, std::string& text) {
  try {
    target.read(path, bytes);
    return Verdict::kAccepted;
  } catch (const Error& error) {
    text = error.what();
    return text.find('\n') == std::string::npos ? Verdict::kRefused : Verdict::kFailed;
  } catch (const std::exception& error) {
    text = std::string("not an error of ours: ") + error.what();
    return Verdict::kFailed;
  }
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void count(Result& result, Verdict verdict, double seconds) {
  ++(verdict == Verdict::kAccepted ? result.accepted : verdict == Verdict::kRefused ? result.refused : result.failed);
  result.longest = std::max(result.longest, seconds);
}

// `place`: holds the other files of the part. Each case's verdict goes to `keep`/verdicts.txt, where that is given.
Result run(const Target& target, const Options& options, const fs::path& place) {
  Result result;
  const fs::path path = place / target.file;
  std::ofstream verdicts;
  if (!options.keep.empty()) verdicts.open(fs::path(options.keep) / "verdicts.txt", std::ios::app);
  for (int64_t i = options.first; i < options.first + options.count; ++i) {
    std::seed_seq key{static_cast<uint64_t>(options.seed), static_cast<uint64_t>(i), target.name.size()};
    Random random(key);
    const std::string bytes = target.mutate(target.originals[i % target.originals.size()], random);
    write_bytes(path, bytes);
    const std::string kept = std::to_string(i) + "-" + path.filename().string();
    if (!options.keep.empty()) write_bytes(fs::path(options.keep) / kept, bytes);
    under_way = target.name + " " + std::to_string(i);
    alarm(kMostSeconds);
    const auto start = std::chrono::steady_clock::now();
    std::string text;
    const Verdict verdict = read_case(target, path, bytes, text);
    count(result, verdict, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    alarm(0);
    if (verdict == Verdict::kFailed)
      std::printf("FAILED %s %lld: %s\n", target.name.c_str(), static_cast<long long>(i), text.c_str());
    verdicts << kept << (verdict == Verdict::kAccepted ? " accepted" : " refused") << std::endl;
  }
  return result;
}

int run_all(const Options& options) {
  const Folder originals;
  bool good = true;
  const std::vector<Target> all = all_targets(originals.path());
  for (const Target& target : all) {
    const auto& chosen = options.targets;
    if (!chosen.empty() && std::find(chosen.begin(), chosen.end(), target.name) == chosen.end()) continue;
    const Folder place;
    fs::copy(originals.path(), place.path(), fs::copy_options::recursive);
    std::printf("%s: ", target.name.c_str());
    std::fflush(stdout);
    const Result result = run(target, options, place.path());
    std::printf("%lld accepted, %lld refused, %lld failed, longest %.2f s\n", static_cast<long long>(result.accepted),
                static_cast<long long>(result.refused), static_cast<long long>(result.failed), result.longest);
    good = good && result.failed == 0;
  }
  return good ? 0 : 1;
}

}  // namespace
}  // namespace moga::test

int main(int argc, char** argv) {
  moga::test::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--count")
      options.count = std::atoll(value), ++i;
    else if (word == "--first")
      options.first = std::atoll(value), ++i;
    else if (word == "--seed")
      options.seed = std::atoll(value), ++i;
    else if (word == "--keep")
      options.keep = value, ++i;
    else
      options.targets.push_back(word);
  }
  std::signal(SIGALRM, moga::test::report_hang);
  at::set_num_threads(1);
  moga::set_quiet(true);
  return moga::test::run_all(options);
}
