// Shots that repeat earlier ones. See duplicates.h.
#include "moga/data/films/duplicates.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>

namespace moga {
namespace {

struct Candidate {
  ShotName name;
  double seconds = 0;
  std::vector<uint64_t> hashes;
};

std::vector<Candidate> candidates(const std::vector<Record>& shots, const std::vector<Record>& scores) {
  std::map<ShotName, double> seconds;
  for (const Record& shot : shots)
    if (shot.contains("start"))
      seconds[shot_name(shot)] = shot.at("end").get<double>() - shot.at("start").get<double>();
  std::vector<Candidate> all;
  for (const Record& score : scores) {
    if (is_dropped(score) || !score.contains("scores")) continue;
    Candidate candidate = {shot_name(score), seconds.at(shot_name(score)), {}};
    for (const auto& hash : score.at("scores").at("hashes"))
      candidate.hashes.push_back(std::strtoull(hash.get<std::string>().c_str(), nullptr, 16));
    all.push_back(std::move(candidate));
  }
  return all;
}

double bits_apart(const Candidate& a, const Candidate& b) {
  const size_t count = std::min(a.hashes.size(), b.hashes.size());
  int bits = 0;
  for (size_t i = 0; i < count; ++i) bits += std::popcount(a.hashes[i] ^ b.hashes[i]);
  return count > 0 ? static_cast<double>(bits) / static_cast<double>(count) : 64;
}

}  // namespace

std::vector<Duplicate> find_duplicates(const std::vector<Record>& shots, const std::vector<Record>& scores,
                                       double most_bits) {
  std::vector<Duplicate> found;
  std::multimap<double, Candidate> originals;  // by duration, so that few are compared
  for (Candidate& candidate : candidates(shots, scores)) {
    Duplicate nearest = {candidate.name, {}, most_bits};
    bool any = false;
    const auto end = originals.upper_bound(candidate.seconds + kSameSeconds);
    for (auto it = originals.lower_bound(candidate.seconds - kSameSeconds); it != end; ++it) {
      const double bits = bits_apart(it->second, candidate);
      if (bits > nearest.bits || (any && bits == nearest.bits && it->second.name > nearest.earlier)) continue;
      nearest.bits = bits;
      nearest.earlier = it->second.name;
      any = true;
    }
    if (any)
      found.push_back(nearest);
    else
      originals.emplace(candidate.seconds, std::move(candidate));
  }
  return found;
}

}  // namespace moga
