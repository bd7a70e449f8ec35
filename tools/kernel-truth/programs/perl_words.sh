#!/bin/sh
# perl counts the words of a text in a hash, three children read it, one writes to a pipe
exec perl -e '
  my %count; open(my $in, "<", "/data/text") or die;
  while (<$in>) { $count{$_}++ for split }
  for my $k (1 .. 3) {
    my $pid = fork();
    if (!$pid) { my $sum = 0; $sum += $_ for values %count; exit 0 }
    waitpid($pid, 0);
  }
  open(my $child, "-|", "/bin/true") or die; close($child);
  print join("\n", (sort { $count{$b} <=> $count{$a} } keys %count)[0 .. 20]), "\n";'
