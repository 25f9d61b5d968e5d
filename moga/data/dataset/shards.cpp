// Latent shards: safetensors files with the tensors latent.0, latent.1, …, with text embeddings also text.0.0 (sample,
// shot), … and, in the file's metadata under "samples", a JSON list of {"captions": […], "shot_frames": […]} in the
// same order. Checked when opened, so that a damaged, foreign or missing file is named before training starts.
#include "moga/data/dataset/shards.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/core/safetensors.h"

namespace moga {
namespace {

using nlohmann::json;

constexpr const char* kDatasetFile = "dataset.json";
constexpr const char* kNegativeFile = "negative.safetensors";

std::string tensor_name(int64_t index) { return "latent." + std::to_string(index); }

std::string text_name(int64_t index, size_t shot) {
  return "text." + std::to_string(index) + "." + std::to_string(shot);
}

std::string shard_name(int64_t number) {
  const std::string digits = std::to_string(number);
  return "shard-" + std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits + ".safetensors";
}

std::vector<std::filesystem::path> shard_paths(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  if (!std::filesystem::is_directory(folder)) return paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("shard-") && entry.path().extension() == ".safetensors")
      paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// dataset.json: {"shards": 3, "samples": 700}. Data sets of earlier versions lack it.
void check_complete(const std::filesystem::path& folder, const std::vector<std::filesystem::path>& paths) {
  int64_t shards = static_cast<int64_t>(paths.size());
  if (const auto file = folder / kDatasetFile; std::filesystem::exists(file)) {
    try {
      shards = json::parse(read_text(file, kMostConfigBytes)).at("shards").get<int64_t>();
    } catch (const json::exception& error) {
      fail(file.string(), ": expected the numbers of shards and samples: ", reason(error));
    }
  }
  for (int64_t i = 0; i < static_cast<int64_t>(paths.size()); ++i)
    check(paths[i].filename() == shard_name(i), folder.string(), ": ", shard_name(i), " is missing, found ",
          paths[i].filename().string());
  check(static_cast<int64_t>(paths.size()) == shards, folder.string(), " has ", paths.size(), " shards, ", kDatasetFile,
        " says ", shards);
}

void check_sample(const std::vector<int64_t>& shape, c10::ScalarType dtype, const std::vector<int64_t>& shot_frames,
                  size_t captions, const std::string& where) {
  check(dtype == c10::kFloat || dtype == c10::kBFloat16, where, ": the latent is ", dtype_name(dtype),
        ", expected float32 or bfloat16");
  check(shape.size() == 4, where, ": the latent has ", shape.size(), " dimensions, expected 4: [z, F, Y', X']");
  check(captions == shot_frames.size(), where, ": captions for ", captions, " shots, shot_frames for ",
        shot_frames.size(), ", expected one of each per shot");
  for (const int64_t frames : shot_frames)
    check(frames >= 1 && frames <= shape[1], where, ": a shot has ", frames, " latent frames, expected 1 to the ",
          shape[1], " of the latent");
  const int64_t frames = std::accumulate(shot_frames.begin(), shot_frames.end(), int64_t{0});
  check(frames == shape[1], where, ": the shots have ", frames, " latent frames, the latent has ", shape[1]);
}

struct Description {
  std::vector<int64_t> shot_frames;
  std::vector<std::string> captions;
};

std::vector<Description> parse_descriptions(const Safetensors& file, const std::string& source) {
  const auto metadata = file.metadata();
  const auto text = metadata.find("samples");
  check(text != metadata.end(), source, ": not a latent shard: the metadata has no \"samples\"");
  std::vector<Description> result;
  try {
    const json samples = json::parse(text->second);
    check(samples.is_array(), source, ": the metadata \"samples\" is a JSON ", samples.type_name(),
          ", expected a list");
    for (const json& sample : samples)
      result.push_back({sample.at("shot_frames").get<std::vector<int64_t>>(),
                        sample.at("captions").get<std::vector<std::string>>()});
  } catch (const json::exception& error) {
    fail(source, ": the metadata \"samples\" is not a list of captions and shot_frames: ", reason(error));
  }
  return result;
}

void check_text(const Safetensors& file, const std::string& name, const std::string& source) {
  check(file.contains(name), source, ": tensor ", name, " is missing");
  check(file.dtype(name) == c10::kBFloat16 && file.shape(name).size() == 2, source, ": ", name, " is ",
        dtype_name(file.dtype(name)), " with ", file.shape(name).size(), " dimensions, expected bfloat16 [tokens, d]");
}

std::vector<Description> read_descriptions(const Safetensors& file, const std::string& source) {
  std::vector<Description> result = parse_descriptions(file, source);
  const bool with_text = file.contains(text_name(0, 0));
  size_t tensors = result.size();
  for (const Description& sample : result) tensors += with_text ? sample.captions.size() : 0;
  check(file.names().size() == tensors, source, ": holds ", file.names().size(), " tensors, the metadata lists ",
        result.size(), " samples", with_text ? " with text" : "");
  for (size_t i = 0; i < result.size(); ++i) {
    const std::string name = tensor_name(static_cast<int64_t>(i));
    check(file.contains(name), source, ": tensor ", name, " is missing, found ", file.names().front(), " and others");
    check_sample(file.shape(name), file.dtype(name), result[i].shot_frames, result[i].captions.size(),
                 source + ": " + name);
    for (size_t shot = 0; with_text && shot < result[i].captions.size(); ++shot)
      check_text(file, text_name(static_cast<int64_t>(i), shot), source);
  }
  return result;
}

}  // namespace

struct ShardWriter::State {
  std::filesystem::path folder;
  int64_t samples_a_shard = 1;
  int64_t shards = 0, total = 0;
  TensorMap tensors;
  json samples = json::array();
  bool with_text = false;

  void flush() {
    if (tensors.empty()) return;
    total += static_cast<int64_t>(samples.size());
    save_safetensors(folder / shard_name(shards++), tensors, {{"samples", samples.dump()}});
    tensors.clear();
    samples = json::array();
  }
};

ShardWriter::ShardWriter(const std::filesystem::path& folder, int64_t samples_a_shard) : state_(new State) {
  state_->folder = folder;
  state_->samples_a_shard = samples_a_shard;
  check(samples_a_shard >= 1, "shards: ", samples_a_shard, " samples a shard, expected at least 1");
  check(shard_paths(folder).empty(), folder.string(), ": already holds shards; choose another folder or remove them");
  make_folder(folder);
}

ShardWriter::~ShardWriter() = default;

void ShardWriter::add(const Sample& sample) {
  State& state = *state_;
  const auto index = static_cast<int64_t>(state.samples.size());
  const std::string name = tensor_name(index);
  const std::string where = (state.folder / shard_name(state.shards)).string() + ": " + name;
  check_sample(sample.latent.sizes().vec(), sample.latent.scalar_type(), sample.shot_frames, sample.captions.size(),
               where);
  check(sample.text.empty() || sample.text.size() == sample.captions.size(), where, ": text embeddings for ",
        sample.text.size(), " shots, expected ", sample.captions.size());
  const bool first = state.total == 0 && index == 0;
  check(first || state.with_text == !sample.text.empty(), where,
        ": some samples have text embeddings, others have none");
  state.with_text = !sample.text.empty();
  state.tensors[name] = sample.latent.detach().cpu();
  for (size_t shot = 0; shot < sample.text.size(); ++shot)
    state.tensors[text_name(index, shot)] = sample.text[shot].detach().to(at::kBFloat16).cpu();
  state.samples.push_back({{"captions", sample.captions}, {"shot_frames", sample.shot_frames}});
  if (static_cast<int64_t>(state.samples.size()) == state.samples_a_shard) state.flush();
}

void ShardWriter::set_negative(const NegativeText& negative) {
  save_safetensors(state_->folder / kNegativeFile, {{"text", negative.text.detach().to(at::kBFloat16).cpu()}},
                   {{"prompt", negative.prompt}});
}

void ShardWriter::finish() {
  state_->flush();
  const json content = {{"shards", state_->shards}, {"samples", state_->total}};
  write_text(state_->folder / kDatasetFile, content.dump() + "\n");
}

struct ShardDataset::State {
  struct Shard {
    Safetensors file;
    std::vector<Description> samples;
  };
  std::filesystem::path folder;
  std::vector<std::filesystem::path> paths;
  std::vector<int64_t> ends;  // samples up to and including each shard
  size_t open_shards = 0;
  mutable std::mutex mutex;
  mutable std::map<size_t, std::shared_ptr<const Shard>> open;
  mutable std::deque<size_t> order;  // of the open shards, the one opened first in front

  std::shared_ptr<const Shard> read(size_t number) const {
    Safetensors file(paths[number]);
    auto samples = read_descriptions(file, paths[number].string());
    return std::make_shared<const Shard>(Shard{std::move(file), std::move(samples)});
  }
  void keep(size_t number, const std::shared_ptr<const Shard>& shard) const {
    if (!open.emplace(number, shard).second) return;
    order.push_back(number);
    if (open_shards == 0 || order.size() <= open_shards) return;
    open.erase(order.front());
    order.pop_front();
  }
  std::shared_ptr<const Shard> shard(size_t number) const {
    {
      const std::lock_guard lock(mutex);
      if (const auto found = open.find(number); found != open.end()) return found->second;
    }
    const auto shard = read(number);
    const std::lock_guard lock(mutex);
    keep(number, shard);
    return shard;
  }
};

ShardDataset::ShardDataset(const std::filesystem::path& folder, size_t open_shards) : state_(new State) {
  check(std::filesystem::is_directory(folder), folder.string(), ": no such folder");
  state_->folder = folder;
  state_->open_shards = open_shards;
  state_->paths = shard_paths(folder);
  check(!state_->paths.empty(), folder.string(),
        ": no samples in this folder, expected latent shards (shard-00000.safetensors, …)");
  check_complete(folder, state_->paths);
  int64_t total = 0;
  for (size_t number = 0; number < state_->paths.size(); ++number) {
    const auto shard = state_->read(number);
    state_->keep(number, shard);
    total += static_cast<int64_t>(shard->samples.size());
    state_->ends.push_back(total);
  }
  check(total > 0, folder.string(), ": no samples in this folder, expected latent shards (shard-00000.safetensors, …)");
}

ShardDataset::~ShardDataset() = default;
ShardDataset::ShardDataset(ShardDataset&&) noexcept = default;

int64_t ShardDataset::size() const { return state_->ends.back(); }

Sample ShardDataset::get(int64_t index) const {
  check(index >= 0 && index < size(), "sample ", index, " was asked for, the shards have 0 to ", size() - 1);
  const auto end = std::upper_bound(state_->ends.begin(), state_->ends.end(), index);
  const auto shard = state_->shard(static_cast<size_t>(end - state_->ends.begin()));
  const int64_t local = index - (*end - static_cast<int64_t>(shard->samples.size()));
  const Description& sample = shard->samples[static_cast<size_t>(local)];
  Sample result = {shard->file.load(tensor_name(local)), sample.shot_frames, sample.captions};
  if (shard->file.contains(text_name(local, 0)))
    for (size_t shot = 0; shot < sample.captions.size(); ++shot)
      result.text.push_back(shard->file.load(text_name(local, shot)));
  return result;
}

NegativeText ShardDataset::negative() const {
  const std::filesystem::path path = state_->folder / kNegativeFile;
  if (!std::filesystem::exists(path)) return {};
  const Safetensors file(path);
  check_text(file, "text", path.string());
  return {file.metadata()["prompt"], file.load("text")};
}

}  // namespace moga
