// Latent shards one by one, for work that is resumed: a killed run leaves whole shards, which the next one recognises
// by what their metadata says. shards.h writes and reads whole data sets.
#pragma once

#include <map>

#include "moga/data/dataset/shards.h"

namespace moga {

std::filesystem::path shard_path(const std::filesystem::path& folder, int64_t number);
// `more` goes into the file's metadata.
void write_shard(const std::filesystem::path& path, const std::vector<Sample>& samples,
                 const std::map<std::string, std::string>& more = {});
// Empty when there is no such file.
std::map<std::string, std::string> shard_metadata(const std::filesystem::path& path);
void write_negative(const std::filesystem::path& folder, const NegativeText& negative);
// Writes dataset.json, which makes the folder complete.
void finish_shards(const std::filesystem::path& folder, int64_t shards, int64_t samples);

}  // namespace moga
