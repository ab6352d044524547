"""What mailroute costs beside other mail proxies: ``make bench``, ``make soak``, ``make lookups``.

Everything runs on loopback, for a bounded time, in a private folder; only processes that were
started here are ended.  The mail store and the clients are C (``native/``), so that they cost less
than what is measured; the rest is Python's standard library.

=================  ==================================================================
``__main__``       the command ``python -m benchmarks``; its options are in ``options``
``catalogue``      what is measured, and with whom, as data
``layout``         how it is shown, and what is compared with what, as data
``scenarios/``     how it is measured: one module for each kind of load
``peers/``         the proxies, their packages and configurations
``ground``         the folder, the compiled programs, the certificate, the stores
``accounts``       the mapped accounts
``running``        a peer that has been started, and its ports
``loads``          the clients' command line and their outcome
``processes``      processes that are measured together, and ended
``accounting``     CPU time and memory of such processes
``observing``      what one run cost and what else the machine did meanwhile
``throttle``       a part of a processor for each process of a peer
``rounds``         the order of the runs: interleaved, round by round
``figures``        medians, ranges, ratios
``results``        the outcome of all runs, kept as JSON
``tables``         the outcome as Markdown
``plots``          the outcome as SVG
``document``       the outcome in ``docs/performance.md``
``soak``           many minutes of mixed load
``lookups``        what one look-up costs, without any mail around it
=================  ==================================================================
"""
