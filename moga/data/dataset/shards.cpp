// Latent shards: safetensors files with the tensors latent.0, latent.1, … and, in the file's metadata under "samples",
// a JSON list of {"captions": […], "shot_frames": […]} in the same order. Checked when opened, so that a damaged,
// foreign or missing file is named before training starts.
#include "moga/data/dataset/shards.h"

#include <algorithm>
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

std::string tensor_name(int64_t index) { return "latent." + std::to_string(index); }

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
        shot_frames.size(), ", expected one of each a shot");
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

std::vector<Description> read_descriptions(const Safetensors& file, const std::string& source) {
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
  check(file.names().size() == result.size(), source, ": holds ", file.names().size(), " tensors, the metadata lists ",
        result.size(), " samples");
  for (size_t i = 0; i < result.size(); ++i) {
    const std::string name = tensor_name(static_cast<int64_t>(i));
    check(file.contains(name), source, ": tensor ", name, " is missing, found ", file.names().front(), " and others");
    check_sample(file.shape(name), file.dtype(name), result[i].shot_frames, result[i].captions.size(),
                 source + ": " + name);
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

  void flush() {
    if (tensors.empty()) return;
    total += static_cast<int64_t>(tensors.size());
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
  const std::string name = tensor_name(static_cast<int64_t>(state_->tensors.size()));
  check_sample(sample.latent.sizes().vec(), sample.latent.scalar_type(), sample.shot_frames, sample.captions.size(),
               (state_->folder / shard_name(state_->shards)).string() + ": " + name);
  state_->tensors[name] = sample.latent.detach().cpu();
  state_->samples.push_back({{"captions", sample.captions}, {"shot_frames", sample.shot_frames}});
  if (static_cast<int64_t>(state_->tensors.size()) == state_->samples_a_shard) state_->flush();
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
  std::vector<Shard> shards;
  std::vector<int64_t> ends;  // samples up to and with each shard
};

ShardDataset::ShardDataset(const std::filesystem::path& folder) : state_(new State) {
  check(std::filesystem::is_directory(folder), folder.string(), ": no such folder");
  const std::vector<std::filesystem::path> paths = shard_paths(folder);
  check(!paths.empty(), folder.string(),
        ": no samples in this folder, expected latent shards (shard-00000.safetensors, …)");
  check_complete(folder, paths);
  int64_t total = 0;
  for (const auto& path : paths) {
    Safetensors file(path);
    auto samples = read_descriptions(file, path.string());
    total += static_cast<int64_t>(samples.size());
    state_->shards.push_back({std::move(file), std::move(samples)});
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
  const auto& shard = state_->shards[static_cast<size_t>(end - state_->ends.begin())];
  const int64_t local = index - (*end - static_cast<int64_t>(shard.samples.size()));
  const Description& sample = shard.samples[static_cast<size_t>(local)];
  return {shard.file.load(tensor_name(local)), sample.shot_frames, sample.captions};
}

}  // namespace moga
