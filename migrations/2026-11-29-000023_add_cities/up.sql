-- Cities are places. `make cities` writes their names and populations (GeoNames, https://www.geonames.org, CC BY 4.0).

-- Folds a name as `src/city.rs` does: words in lower case without accents, joined by one blank. Here it folds the
-- names of places and what is compared with them; the keys of all other cities come from the program.
CREATE FUNCTION fold_name(raw text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT btrim(regexp_replace(
        lower(regexp_replace(
            normalize(raw, NFKD),
            '[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f]',
            '', 'g')),
        '[^[:alnum:]]+', ' ', 'g'))
$$;

CREATE TABLE cities (
    -- The id of GeoNames.
    id bigint PRIMARY KEY,
    name text NOT NULL,
    department text NOT NULL,
    -- Null if it is unknown.
    population bigint,
    -- What lists show: the name, followed by the department if the name alone does not mean this place.
    label text NOT NULL,
    -- `label`, folded: the `city_key` of its players, videos and standings.
    key text COLLATE "C" NOT NULL UNIQUE
);

-- The folded texts that mean a place.
CREATE TABLE city_aliases (
    key text COLLATE "C" PRIMARY KEY,
    city_id bigint NOT NULL REFERENCES cities
);
CREATE INDEX city_aliases_city_id ON city_aliases (city_id);

CREATE TEMPORARY TABLE place ON COMMIT DROP AS
    SELECT split_part(line, ',', 1)::bigint AS id, split_part(line, ',', 2) AS name,
        split_part(line, ',', 3) AS department, nullif(split_part(line, ',', 4), '')::bigint AS population
    FROM regexp_split_to_table($csv$
3688689,Bogotá,Distrito Capital,7674366
3687925,Cali,Valle del Cauca,2392877
3674962,Medellín,Antioquia,1999979
3689147,Barranquilla,Atlántico,1380425
3687238,Cartagena,Bolívar,952024
3685533,Cúcuta,Norte de Santander,721398
3688465,Bucaramanga,Santander,571820
3672486,Pereira,Risaralda,440118
3668605,Santa Marta,Magdalena,431781
3680656,Ibagué,Tolima,421685
3688928,Bello,Antioquia,392939
3672778,Pasto,Nariño,382236
3675443,Manizales,Caldas,357814
3673899,Neiva,Huila,352855
3667849,Soledad,Atlántico,342556
3665900,Villavicencio,Meta,321717
3689560,Armenia,Quindío,315328
3667905,Soacha,Cundinamarca,313945
3666304,Valledupar,Cesar,308237
3680450,Itagüí,Antioquia,281853
3674453,Montería,Córdoba,272420
3667983,Sincelejo,Sucre,261187
3671916,Popayán,Cauca,258653
3682385,Floridablanca,Santander,252267
3673164,Palmira,Valle del Cauca,247986
3688451,Buenaventura,Valle del Cauca,240387
3689169,Barrancabermeja,Santander,191403
3685095,Dosquebradas,Risaralda,179583
3666645,Tuluá,Valle del Cauca,165501
3682631,Envigado,Antioquia,163007
3687230,Cartago,Valle del Cauca,134827
3675657,Maicao,La Guajira,130348
3682426,Florencia,Caquetá,130337
3682028,Girardot,Cundinamarca,130289
3667873,Sogamoso,Boyacá,126551
3688256,Guadalajara de Buga,Valle del Cauca,118004
3666608,Tunja,Boyacá,117479
3682018,Girón,Santander,108466
3675595,Malambo,Atlántico,101534
3675692,Magangué,Bolívar,100313
3682516,Facatativá,Cundinamarca,94611
3670745,Riohacha,La Guajira,92431
3685084,Duitama,Boyacá,92040
3665542,Zipaquirá,Cundinamarca,91235
3682274,Fusagasugá,Cundinamarca,88820
3686279,Ciénaga,Magdalena,88311
3666640,Tumaco,Nariño,86713
3689798,Apartadó,Antioquia,86438
3672328,Piedecuesta,Santander,86387
3674470,Montelíbano,Córdoba,85000
3673662,Ocaña,Norte de Santander,83511
3679277,La Dorada,Caldas,81950
3680539,Ipiales,Nariño,77729
3671116,Quibdó,Chocó,75104
3690465,Aguachica,Cesar,73360
3665657,Yumbo,Valle del Cauca,71436
3689718,Arauca,Arauca,69264
3670502,Sabanalarga,Atlántico,68535
3686561,Chinchiná,Caldas,68512
3687952,Caldas,Antioquia,65565
3665913,Villa del Rosario,Norte de Santander,64951
3686675,Chía,Cundinamarca,64569
3670730,Rionegro,Antioquia,62291
3687964,Calarcá,Quindío,62170
3665688,Yopal,Casanare,61029
3670419,Sahagún,Córdoba,59188
3682292,Fundación,Magdalena,59175
3675975,Los Patios,Norte de Santander,58661
3670218,San Andrés,San Andrés y Providencia,58257
3687025,Caucasia,Antioquia,58034
3668454,Santa Rosa de Cabal,Risaralda,57928
3682573,Espinal,Tolima,56213
3666577,Turbaco,Bolívar,56171
3686922,Cereté,Córdoba,55513
3684917,El Banco,Magdalena,54522
3682281,Funza,Cundinamarca,54421
3672110,Pitalito,Huila,53685
3671315,Puerto Tejada,Cauca,53674
3673045,Pamplona,Norte de Santander,53587
3792383,Agustín Codazzi,Cesar,51478
3666570,Turbo,Antioquia,50508
3675707,Madrid,Cundinamarca,50437
3689570,Arjona,Bolívar,50405
3679065,La Estrella,Antioquia,49386
3685949,Copacabana,Antioquia,49169
3792392,Plato,Magdalena,48606
3686636,Chigorodó,Antioquia,48443
3684666,El Carmen de Bolívar,Bolívar,47957
3682393,Florida,Valle del Cauca,47173
3686513,Chiquinquirá,Boyacá,45294
3680387,Jamundí,Valle del Cauca,44833
3671772,Pradera,Valle del Cauca,44630
3689235,Baranoa,Atlántico,44078
8633918,Piendamó,Cauca,44000
3668132,Sevilla,Valle del Cauca,41612
3668572,Santander de Quilichao,Cauca,40798
3684945,El Bagre,Antioquia,40798
3690577,Acacías,Meta,40627
3676397,Lorica,Córdoba,40605
3668175,Segovia,Antioquia,39938
3685823,Corozal,Sucre,39800
3684615,El Cerrito,Valle del Cauca,38390
3672664,Payandé,Tolima,37496
3672068,Planeta Rica,Córdoba,37297
3679554,La Ceja,Antioquia,36584
3669346,San Marcos,Sucre,36549
3674463,Montenegro,Quindío,36499
3665973,Villamaría,Caldas,35302
3670475,Sabaneta,Antioquia,34172
3671540,Puerto Berrío,Antioquia,33983
3676720,La Virginia,Risaralda,33835
3669808,San Gil,Santander,33592
3672093,Pivijay,Magdalena,33492
3669218,San Onofre,Sucre,32957
3688071,Caicedonia,Valle del Cauca,32417
3681957,Granada,Meta,32365
3673398,Belalcázar,Cauca,31800
3671098,Quimbaya,Quindío,31391
3674597,Mompós,Bolívar,30861
3667991,San Luis de Sincé,Sucre,30768
3671549,Puerto Asís,Putumayo,29782
3676623,Leticia,Amazonas,29666
3669454,San Juan Nepomuceno,Bolívar,29619
3770718,Morales,Cauca,29617
3682108,Garzón,Huila,29451
3667478,Tame,Arauca,29099
3665559,Zarzal,Valle del Cauca,28761
3684579,El Charco,Nariño,28673
3676604,Líbano,Tolima,28211
3680840,Honda,Tolima,28158
3673220,Palmar de Varela,Atlántico,28084
3689759,Aracataca,Magdalena,27704
3670644,Roldanillo,Valle del Cauca,27561
3666939,Santiago de Tolú,Sucre,27390
3671531,Puerto Boyacá,Boyacá,27310
3677010,La Tebaida,Quindío,27098
3674292,Mosquera,Cundinamarca,27005
3669469,San Juan del Cesar,La Guajira,26848
3678405,La Mesa,Cundinamarca,26699
3689589,Ariguaní,Cesar,26246
3667158,Tierralta,Córdoba,26242
3671497,Puerto Colombia,Atlántico,26227
3674885,Melgar,Tolima,25980
3668332,Santo Tomás,Atlántico,25847
3689952,Anaime,Tolima,25715
3689833,Anserma,Caldas,25242
3688006,Cajicá,Cundinamarca,24999
3670513,Sabanagrande,Atlántico,24880
3669997,San Carlos,Córdoba,24615
3675263,Marinilla,Antioquia,24171
3685435,Cumaribo,Vichada,23990
3687644,Candelaria,Valle del Cauca,23989
3682374,Fonseca,La Guajira,23509
3676928,La Unión,Valle del Cauca,23459
3675287,María la Baja,Bolívar,23401
3667728,Sucre,Sucre,23210
3668087,Sibaté,Cundinamarca,23208
3675252,San Sebastián de Mariquita,Tolima,23104
3687758,Campo de la Cruz,Atlántico,22803
3669998,San Carlos,Antioquia,22678
3689381,Ayapel,Córdoba,22602
3687806,Campoalegre,Huila,22568
3665741,Yarumal,Antioquia,22368
3828545,San José del Guaviare,Guaviare,22136
3685335,Curumaní,Cesar,22084
3674654,Mocoa,Putumayo,22035
3670280,Sampués,Sucre,21204
3687318,Carmen de Viboral,Antioquia,21152
3682458,Flandes,Tolima,20919
3672761,Patía,Cauca,20807
3665895,Villeta,Cundinamarca,20689
3792375,Carepa,Antioquia,20627
3666519,Villa de San Diego de Ubaté,Cundinamarca,20485
3674412,Morales,Bolívar,20375
3689206,Barbosa,Santander,20372
3669736,San Jacinto,Bolívar,20265
3666582,Túquerres,Nariño,20184
3686233,Circasia,Quindío,20113
3676626,Lérida,Tolima,20069
3665951,Villanueva,Casanare,20032
3686793,Chaparral,Tolima,19982
3682238,Galapa,Atlántico,19732
3690431,Aguadas,Caldas,19727
3681797,Guacarí,Valle del Cauca,19637
3686540,Chinú,Córdoba,19596
3673404,Padua,Tolima,19311
3678097,La Plata,Huila,19275
3670719,Riosucio,Caldas,18950
3666395,Urrao,Antioquia,18846
3665566,Zaragoza,Antioquia,18795
3675605,Málaga,Santander,18739
3665934,Villanueva,La Guajira,18699
3670874,Repelón,Atlántico,18685
3678674,La Jagua de Ibirico,Cesar,18555
3670038,San Benito Abad,Sucre,18181
3684452,El Copey,Cesar,18136
3670370,Salamina,Caldas,18076
3667887,Socorro,Santander,17752
3668323,Santuario,Antioquia,17722
3682330,Fresno,Tolima,17668
3686272,Ciénaga de Oro,Córdoba,17623
3689905,Andalucía,Valle del Cauca,17432
3689162,Barrancas,La Guajira,17350
3667820,Sonsón,Antioquia,17232
3686585,Chimichagua,Cesar,16746
3689205,Barbosa,Antioquia,16707
3673424,Pacho,Cundinamarca,16698
3671418,Puerto López,Meta,16678
3685871,Corinto,Cauca,16579
3689899,Andes,Antioquia,16419
3675409,Manzanares,Caldas,16278
3671325,Puerto Santander,Norte de Santander,16275
3669332,San Martín,Meta,16273
3792376,Ciudad Bolívar,Antioquia,16225
3683233,El Retén,Magdalena,15901
3685273,Darien,Valle del Cauca,15763
3668655,Santa Lucía,Atlántico,15760
3688989,Belén de Umbría,Risaralda,15698
3690316,Aguazul,Casanare,15669
3665851,Viterbo,Caldas,15216
3686479,Chiriguaná,Cesar,15181
3676934,La Unión,Nariño,15061
3681563,Guamo,Tolima,14881
3686644,Chicoral,Tolima,14686
3681702,Guaduas,Cundinamarca,14392
3675987,Los Palmitos,Sucre,14385
3681429,Guarne,Antioquia,14270
3675512,Manatí,Atlántico,14140
3669188,San Pablo,Bolívar,13983
3668937,Santa Ana,Magdalena,13950
3681505,Guapí,Cauca,13853
3680453,Istmina,Chocó,13788
3666881,Toro,Valle del Cauca,13764
3829343,Orito,Putumayo,13708
3671287,Puerto Wilches,Santander,13705
3667202,Tibú,Norte de Santander,13565
3673369,Paipa,Boyacá,13554
3671615,Puebloviejo,Magdalena,13523
3682682,El Zulia,Norte de Santander,13521
3670293,Samaniego,Nariño,13515
3673455,Ovejas,Sucre,13284
3678186,La Paz,Cesar,13249
3675826,Luruaco,Atlántico,13236
3674702,Miranda,Cauca,13223
3684276,El Doncello,Caquetá,13082
3665935,Villanueva,Bolívar,12791
3667697,Supía,Caldas,12784
3668895,Santa Bárbara,Antioquia,12743
3669929,San Estanislao,Bolívar,12596
3688254,Bugalagrande,Valle del Cauca,12418
3689831,Ansermanuevo,Valle del Cauca,12332
3685292,Dagua,Valle del Cauca,12320
3671348,Puerto Rico,Caquetá,12306
3690019,Amagá,Antioquia,12170
3684860,El Bordo,Cauca,12072
3689816,Santa Fe de Antioquia,Antioquia,11829
3667918,Sitionuevo,Magdalena,11817
3673902,Neira,Caldas,11755
3671950,Polonuevo,Atlántico,11727
9179918,Armero Guayabal,Tolima,11720
3670199,San Antero,Córdoba,11610
3685295,Dabeiba,Antioquia,11548
3669128,San Pedro,Sucre,11489
3686445,Chivolo,Magdalena,11457
3687634,Candelaria,Atlántico,11427
3666226,Venadillo,Tolima,11310
3672599,Pelaya,Cesar,11306
3670520,Sabana de Torres,Santander,11291
3686255,Cimitarra,Santander,11267
3668292,San Vicente de Chucurí,Santander,11265
3685442,Cumaral,Meta,11263
3671936,Ponedera,Atlántico,11221
3674010,Natagaima,Tolima,11217
3675212,Marsella,Risaralda,11158
3680112,Junín,Tolima,11158
3675637,Majagual,Sucre,11139
3682160,Garagoa,Boyacá,11102
3669087,San Pedro de Urabá,Antioquia,11095
3676791,La Victoria,Valle del Cauca,11064
3682245,Gaitania,Tolima,11000
3667901,Soatá,Boyacá,10945
3666232,Vélez,Santander,10905
3671091,Quinchía,Risaralda,10895
3690429,Agua de Dios,Cundinamarca,10875
3671208,Purificación,Tolima,10846
3673974,Necoclí,Antioquia,10835
3669461,San Juan de Urabá,Antioquia,10825
3690584,Ábrego,Norte de Santander,10822
3690160,Algeciras,Huila,10792
3680434,Ituango,Antioquia,10769
3666326,Valencia,Córdoba,10652
3670242,San Alberto,Cesar,10627
3668472,Santa Rosa,Bolívar,10604
3673379,Pailitas,Cesar,10480
3669938,Sandoná,Nariño,10401
3667780,Suan,Atlántico,10381
3666575,Turbaná,Bolívar,10235
3667003,Tocaima,Cundinamarca,10235
3671519,Puerto Carreño,Vichada,10216
3668451,Santa Rosa de Osos,Antioquia,10191
3679660,La Calera,Cundinamarca,10175
3667579,Tadó,Chocó,10095
3690172,Algarrobo,Magdalena,10042
3685126,Donmatías,Antioquia,10011
3667773,Suárez,Cauca,9985
3827723,Valle del Guamuez,Putumayo,9969
3689714,Arauquita,Arauca,9950
3686002,Condoto,Chocó,9897
3673286,Palermo,Huila,9896
3686141,Coello,Tolima,9887
3671330,Puerto Salgar,Cundinamarca,9863
3682047,Gigante,Huila,9829
3673609,Olaya Herrera,Nariño,9820
3674572,Moniquirá,Boyacá,9785
3690010,Amalfi,Antioquia,9733
3672077,Planadas,Tolima,9709
3675504,Manaure,La Guajira,9703
3686574,Chinácota,Norte de Santander,9667
3792377,Vegachí,Antioquia,9618
3665616,Zambrano,Bolívar,9565
3670856,Restrepo,Valle del Cauca,9545
3733861,Curillo,Caquetá,9539
3670260,San Agustín,Huila,9481
3682232,Galeras,Sucre,9459
3668078,Sibundoy,Putumayo,9458
3689740,Aranzazu,Caldas,9327
3686013,Concordia,Antioquia,9324
3688021,Cajamarca,Tolima,9309
3670357,Saldaña,Tolima,9237
3670754,Riofrío,Valle del Cauca,9236
3675668,Mahates,Bolívar,9224
3687972,Calamar,Bolívar,9180
3666370,Usiacurí,Atlántico,9146
3690237,Alcalá,Valle del Cauca,9135
3671437,Puerto Leguízamo,Putumayo,9098
3669480,San Juan de Betulia,Sucre,9092
3671655,Pueblo Nuevo,Córdoba,9075
3770955,Villa Rica,Cauca,9070
3681596,Guamal,Magdalena,9016
3689026,Becerril,Cesar,9002
3689458,Astrea,Cesar,8995
3670018,San Bernardo del Viento,Córdoba,8967
3780602,Fredonia,Antioquia,8950
3676674,Lebrija,Santander,8949
3792379,Santa Rosa del Sur,Bolívar,8904
3669138,San Pedro,Antioquia,8801
3686196,Clemencia,Bolívar,8775
3679379,La Cruz,Nariño,8751
3680176,Juan de Acosta,Atlántico,8655
3682313,Frontino,Antioquia,8603
3666381,Urumita,La Guajira,8509
3670107,San Antonio,Magdalena,8476
3690549,Achí,Bolívar,8434
3667807,Sopó,Cundinamarca,8396
3689693,Arboletes,Antioquia,8380
3665678,Yotoco,Valle del Cauca,8362
3676923,La Unión,Antioquia,8361
3670884,Remolino,Magdalena,8308
3666936,Tolú Viejo,Sucre,8260
3668028,Silvania,Cundinamarca,8237
3673413,Pácora,Caldas,8218
3686227,Cisneros,Antioquia,8204
3667082,Timaná,Huila,8203
3666673,Tubará,Atlántico,8180
3672521,Pensilvania,Caldas,8173
3667811,Soplaviento,Bolívar,8067
3670692,Rivera,Huila,8044
3669947,San Diego,Cesar,8014
3674121,Muzo,Boyacá,7977
3690287,Aipe,Huila,7964
3687476,Cáqueza,Cundinamarca,7958
3792384,Manaure Balcón del Cesar,Cesar,7953
3684266,El Dovio,Valle del Cauca,7942
3670849,Retiro,Antioquia,7941
3668245,Sardinata,Norte de Santander,7872
3673269,Palestina,Caldas,7865
3769932,Monterrey,Casanare,7759
3680317,Jericó,Antioquia,7750
3680366,Jardín,Antioquia,7747
3686288,Cicuco,Bolívar,7662
3689228,Barbacoas,Nariño,7633
3683528,El Paujíl,Caquetá,7618
3685733,Cota,Cundinamarca,7615
3686422,Chocontá,Cundinamarca,7592
3792382,Cartagena del Chairá,Caquetá,7586
3685432,Cumbal,Nariño,7529
3666409,Uribia,La Guajira,7519
3665691,Yondó,Antioquia,7516
3670855,Restrepo,Meta,7511
3683463,El Piñón,Magdalena,7481
3668025,Silvia,Cauca,7474
3690592,Abejorral,Antioquia,7360
3682182,Gamarra,Cesar,7327
3671450,Inírida,Guainía,7298
3673676,Obando,Valle del Cauca,7298
3682965,El Tambo,Nariño,7279
3669056,San Rafael,Antioquia,7245
3669293,La Dorada,Putumayo,7185
3670718,Riosucio,Chocó,7163
3682068,Génova,Quindío,7140
3679536,La Chamba,Tolima,7075
3681356,Guateque,Boyacá,7069
3686894,Cerro de San Antonio,Magdalena,7057
3671203,Purísima de la Concepción,Córdoba,7043
3675452,Maní,Casanare,7031
3792385,San Martín,Cesar,7029
3665992,Villagarzón,Putumayo,7015
3670709,Río Viejo,Bolívar,6963
3670587,Rovira,Tolima,6949
3689793,Apía,Risaralda,6940
3668447,Santa Rosa de Viterbo,Boyacá,6923
3673511,Ortega,Tolima,6871
3682473,Filandia,Quindío,6851
3668324,Santuario,Risaralda,6815
3678907,La Gloria,Cesar,6810
3671228,Pupiales,Nariño,6760
3673976,Nechí,Antioquia,6693
3668012,Simití,Bolívar,6670
3686011,Concordia,Magdalena,6624
3685893,Córdoba,Bolívar,6597
3669214,San Pablo,Nariño,6522
3668286,San Zenón,Magdalena,6520
3687880,Caloto,Cauca,6478
3674603,Momil,Córdoba,6441
3670350,Salgar,Antioquia,6428
3670899,Remedios,Antioquia,6415
3667473,Támesis,Antioquia,6406
3828283,Santa Isabel,Tolima,6382
3683538,El Paso,Cesar,6367
3689012,Belalcázar,Caldas,6367
3690250,Albania,La Guajira,6364
3682963,El Tambo,Cauca,6355
3681644,Guaitarilla,Nariño,6280
3689292,Balboa,Cauca,6272
3667070,Timbiquí,Cauca,6267
3674678,Mistrató,Risaralda,6263
3675234,Marquetalia,Caldas,6224
3672197,Pinillos,Bolívar,6218
3667547,Talaigua Viejo,Bolívar,6217
3670764,Rioblanco,Tolima,6210
3672086,Pizarro,Chocó,6168
3670368,Salamina,Magdalena,6166
3670756,Río de Oro,Cesar,6122
3672087,Salahonda,Nariño,6105
3682039,Ginebra,Valle del Cauca,6088
3668861,Santa Catalina,Bolívar,6084
3665587,Zapatoca,Santander,6052
3665693,Yolombó,Antioquia,6033
3666997,Tocancipá,Cundinamarca,6027
3687677,Cañasgordas,Antioquia,6026
3673811,Norcasia,Caldas,5976
3689157,Barranco de Loba,Bolívar,5933
3769976,Puerto Gaitán,Meta,5928
3674676,Mitú,Vaupés,5917
3666959,Toledo,Norte de Santander,5911
3665924,Villapinzón,Cundinamarca,5874
3666680,Trujillo,Valle del Cauca,5874
3689915,Ancuya,Nariño,5852
3665881,Viotá,Cundinamarca,5840
3671591,Puente Nacional,Santander,5774
3665803,Yaguará,Huila,5724
3689771,Aquitania,Boyacá,5718
3676864,La Vega,Cundinamarca,5706
3672255,Pijao,Quindío,5668
3681952,Granada,Antioquia,5661
3687324,Carmen de Apicalá,Tolima,5640
3669084,San Pelayo,Córdoba,5637
3681990,González,Cesar,5634
3674499,Montecristo,Bolívar,5608
3689841,Anolaima,Cundinamarca,5585
3669011,San Roque,Antioquia,5576
3683155,El Rosal,Cundinamarca,5552
3669156,San Pedro,Valle del Cauca,5473
3673887,Nemocón,Cundinamarca,5466
3666193,Venecia,Antioquia,5462
3670700,Risaralda,Caldas,5421
3689003,Belén,Boyacá,5411
3672249,Pijiño del Carmen,Magdalena,5390
3681368,Guatapé,Antioquia,5389
3682380,Fómeque,Cundinamarca,5389
3674569,Moñitos,Córdoba,5385
3672012,Playarrica,Tolima,5381
3689653,Arenal,Bolívar,5346
3673142,Palmito,Sucre,5345
3678118,La Pintada,Antioquia,5342
3689551,Guayabal,Tolima,5339
3792399,El Playón,Santander,5334
3671630,Pueblorrico,Antioquia,5327
3684683,El Carmen,Norte de Santander,5286
3683778,El Molino,La Guajira,5265
3686158,Cocorná,Antioquia,5257
3689709,Arbeláez,Cundinamarca,5252
3682510,Falan,Tolima,5234
3792378,Altos del Rosario,Bolívar,5220
3688840,Betulia,Antioquia,5216
3670162,San Antonio,Tolima,5185
3792389,Isnos,Huila,5185
3732964,Lejanías,Meta,5157
3672428,Pesca,Boyacá,5113
3666003,Villa de Leyva,Boyacá,5103
3671424,Puerto Lleras,Meta,5076
3682481,Filadelfia,Caldas,5064
3688397,Buenavista,Córdoba,5062
3671002,Ramiriquí,Boyacá,5039
3671346,Puerto Yuca,Meta,5029
3681605,Guamal,Meta,5026
3668302,San Vicente,Antioquia,5020
3688128,Cáceres,Antioquia,4987
3667528,Tamalameque,Cesar,4972
3689941,Anapoima,Cundinamarca,4953
3674337,Morroa,Sucre,4949
3679542,La Celia,Risaralda,4940
3686867,Chachagüí,Nariño,4899
3689979,Ambalema,Tolima,4892
3685724,Cotorra,Córdoba,4880
3667717,Suesca,Cundinamarca,4877
3680491,Iscuandé,Nariño,4875
3667323,Tello,Huila,4868
3674740,Miraflores,Guaviare,4864
3690572,Acandí,Chocó,4840
3667791,Sotomayor,Nariño,4839
3674130,Mutatá,Antioquia,4811
3667355,Tauramena,Casanare,4805
3679852,La Argentina,Huila,4800
3685702,Cravo Norte,Arauca,4787
3668017,Simijaca,Cundinamarca,4767
3685649,Cruces de Anorí,Antioquia,4762
3681733,Guadalupe,Huila,4760
3686134,Cogua,Cundinamarca,4755
3666719,Trinidad,Casanare,4752
3685200,Distracción,La Guajira,4742
3669956,San Cristóbal,Bolívar,4737
3684115,El Guamo,Bolívar,4732
3666075,Victoria,Caldas,4723
3674851,Mercaderes,Cauca,4684
3687541,Cantagallo,Bolívar,4672
3666042,Vigía del Fuerte,Antioquia,4638
3682361,Fortul,Arauca,4607
3689336,Bagadó,Chocó,4561
3690520,Agrado,Huila,4530
3687505,Caparrapí,Cundinamarca,4477
3673407,Padilla,Cauca,4472
3690552,Acevedo,Huila,4451
3680854,Hobo,Huila,4444
3676912,La Unión,Sucre,4427
3685223,Dibulla,La Guajira,4402
3689232,Baraya,Huila,4402
3688673,Bojacá,Cundinamarca,4399
3681353,Guática,Risaralda,4368
3669881,San Francisco,Putumayo,4350
3688396,Buenavista,Magdalena,4339
3792395,Puerto Concordia,Meta,4313
3665860,Vistahermosa,Meta,4282
3686441,Choachí,Cundinamarca,4281
3689615,Argelia,Cauca,4262
3688112,Cachipay,Cundinamarca,4260
3792380,Tiquisio,Bolívar,4255
3681767,Guachetá,Cundinamarca,4245
3683497,El Peñón,Bolívar,4204
3669399,San Luis,Tolima,4184
3667629,Tabio,Cundinamarca,4180
3666475,Unguía,Chocó,4179
3688266,Buesaco,Nariño,4177
3671633,Pueblo Rico,Risaralda,4165
3688659,Bolívar,Valle del Cauca,4165
3763578,Mesetas,Meta,4163
3690262,Albania,Caquetá,4160
3665986,Villahermosa,Tolima,4155
3689187,Barichara,Santander,4149
3667386,Tarqui,Huila,4144
3670352,Salento,Quindío,4135
3671901,Pore,Casanare,4133
3689450,Ataco,Tolima,4105
3681997,Gómez Plata,Antioquia,4097
3792398,Puerto Guzmán,Putumayo,4094
3667760,Subachoque,Cundinamarca,4088
3781883,Gachetá,Cundinamarca,4088
3671020,Apulo,Cundinamarca,4084
3666025,Vijes,Valle del Cauca,4070
3685900,Córdoba,Quindío,4063
3671308,Puerto Triunfo,Antioquia,4055
3681756,Guachucal,Nariño,4014
3667244,Tesalia,Huila,3981
3671848,Potosí,Nariño,3979
3673637,Oiba,Santander,3959
3672123,Pital,Huila,3957
3667007,Toca,Boyacá,3946
3680531,Íquira,Huila,3942
3688991,Belén de los Andaquíes,Caquetá,3937
3667247,Teruel,Huila,3921
3678000,La Primavera,Vichada,3920
3670629,Roncesvalles,Tolima,3918
3666887,Toribío,Cauca,3911
3665792,Yalí,Antioquia,3908
3685708,Coyaima,Tolima,3893
3686460,Chitagá,Norte de Santander,3871
3667290,Tenjo,Cundinamarca,3858
3678415,La Merced,Caldas,3851
3671576,Puerres,Nariño,3812
3688855,Betania,Antioquia,3800
3687490,Capitanejo,Santander,3791
3667023,Titiribí,Antioquia,3787
3685903,Córdoba,Nariño,3784
3792396,La Tola,Nariño,3769
3666291,Valparaíso,Caquetá,3767
3686065,Colosó,Sucre,3749
3688775,Boavita,Boyacá,3749
3687975,Calamar,Guaviare,3745
3671337,Puerto Rondón,Arauca,3724
3665949,Villanueva,Santander,3707
3676417,López,Cauca,3699
3670303,Samacá,Boyacá,3689
3672633,Pedraza,Magdalena,3677
3676661,Leiva,Nariño,3668
3681029,Hatillo de Loba,Bolívar,3639
3689870,Angostura,Antioquia,3639
3666287,Valparaíso,Antioquia,3626
3689507,Arroyohondo,Bolívar,3622
3682299,Fuente de Oro,Meta,3609
3673475,Otanche,Boyacá,3589
3681966,Gramalote,Norte de Santander,3577
3775262,Quípama,Boyacá,3571
3671765,Prado,Tolima,3556
3671018,Ragonvalia,Norte de Santander,3543
3666102,Versalles,Valle del Cauca,3542
3680641,Icononzo,Tolima,3540
3681404,Guasca,Cundinamarca,3540
3667211,Tibasosa,Boyacá,3535
3673126,Palocabildo,Tolima,3534
3687933,Caldono,Cauca,3517
3676540,Linares,Nariño,3512
3685961,Contratación,Santander,3505
3680880,Herveo,Tolima,3490
3678328,Landázuri,Santander,3483
3689611,Argelia,Antioquia,3474
3674293,Mosquera,Nariño,3471
3685069,Durania,Norte de Santander,3470
3676868,La Vega,Cauca,3469
3827693,La Macarena,Meta,3466
3682633,Entrerríos,Antioquia,3462
3674640,Mogotes,Santander,3438
3689613,Argelia,Valle del Cauca,3418
3685345,Curití,Santander,3417
3666333,Valdivia,Antioquia,3398
3672176,Piojó,Atlántico,3388
3670910,Regidor,Bolívar,3386
3688009,Cajibío,Cauca,3365
3792387,El Retorno,Guaviare,3362
3673829,Nobsa,Boyacá,3360
3669718,San Jerónimo,Antioquia,3356
3667892,Socha Viejo,Boyacá,3353
3667447,Tangua,Nariño,3348
3738301,El Tarra,Norte de Santander,3336
3671714,Providencia,Nariño,3326
3683180,El Roble,Sucre,3324
3678363,La Montañita,Caquetá,3305
3792386,El Cantón de San Pablo,Chocó,3271
3686107,Colón,Putumayo,3269
3684785,El Cairo,Valle del Cauca,3268
3672327,Pie de Pató,Chocó,3242
3666481,Une,Cundinamarca,3208
3665813,Yacopí,Cundinamarca,3202
3674027,Nariño,Antioquia,3186
3672813,Pasca,Cundinamarca,3169
3687310,Carolina,Antioquia,3160
3787727,San Andrés,Antioquia,3154
3689006,Belén,Nariño,3131
3687451,Caracolí,Antioquia,3120
3690136,Almaguer,Cauca,3120
3682262,Gachancipá,Cundinamarca,3119
3737057,Santiago Pérez,Tolima,3115
3675768,Maceo,Antioquia,3109
3667410,Tarapacá,Amazonas,3100
3674931,Medina,Cundinamarca,3098
3665910,Villarrica,Tolima,3081
3689325,Bahía Solano,Chocó,3079
3687426,Caramanta,Antioquia,3044
3670224,San Andrés,Santander,3032
3671470,Puerto Escondido,Córdoba,3020
3670034,San Bernardo,Nariño,2988
3667868,Solano,Caquetá,2973
3680554,Inzá,Cauca,2972
3668228,Sasaima,Cundinamarca,2948
3666363,Útica,Cundinamarca,2945
3674031,Nariño,Nariño,2933
3688030,Caimito,Sucre,2925
3667471,Taminango,Nariño,2919
3686464,Chita,Boyacá,2914
3666562,Turmequé,Boyacá,2901
3686835,Chalán,Sucre,2897
3672665,Payán,Nariño,2892
3679007,La Florida,Nariño,2882
3668373,Santo Domingo,Antioquia,2873
3681255,Guayatá,Boyacá,2857
3686883,Cértegui,Chocó,2854
3673536,Orocué,Casanare,2835
3669557,San José de la Montaña,Antioquia,2819
3685184,Doima,Tolima,2808
3669860,San Francisco,Cundinamarca,2785
3686605,Chimá,Córdoba,2785
3669857,San Francisco,Antioquia,2779
3674735,Miraflores,Boyacá,2766
3668635,Santa María,Huila,2761
3673482,Ospina,Nariño,2747
3678575,La Llanada,Nariño,2747
3673690,Nuquí,Chocó,2741
3665898,Villavieja,Huila,2730
3685027,El Águila,Valle del Cauca,2725
3679130,La Esperanza,Norte de Santander,2718
3668400,Santiago,Putumayo,2715
3673756,Nueva Granada,Magdalena,2714
3686532,Chipaque,Cundinamarca,2707
3684510,El Cocuy,Boyacá,2706
3689697,Arboledas,Norte de Santander,2702
3667380,Tarso,Antioquia,2700
3667783,Suaita,Santander,2691
3670812,Ricaurte,Cundinamarca,2682
3672698,Pauna,Boyacá,2663
3676477,Lloró,Chocó,2651
3665811,Yacuanquer,Nariño,2643
3681008,Hato Corozal,Casanare,2640
3669482,San Juan de Arama,Meta,2636
3668268,Sapuyes,Nariño,2628
3666502,Ulloa,Valle del Cauca,2621
3779399,Canalete,Córdoba,2620
3674784,Milán,Caquetá,2618
3670816,Ricaurte,Nariño,2617
3683149,El Rosario,Nariño,2607
3685058,Ebéjico,Antioquia,2583
3684662,El Castillo,Meta,2581
3669355,San Luis de Gaceno,Boyacá,2579
3676644,Lenguazaque,Cundinamarca,2555
3667732,Sucre,Cauca,2552
3666311,Valle de San José,Santander,2522
3686027,Concepción,Santander,2520
3670506,Sabanalarga,Antioquia,2517
3688705,Bochalema,Norte de Santander,2511
3681619,Gualmatán,Nariño,2510
3682283,Funes,Nariño,2508
3667764,Suaza,Huila,2481
3673826,Nocaima,Cundinamarca,2475
3681234,Güepsa,Santander,2471
3735680,Santacruz,Nariño,2469
3680857,Hispania,Antioquia,2468
3686907,Cerrito,Santander,2435
3778835,La Cumbre,Valle del Cauca,2432
3674272,Mountain,San Andrés y Providencia,2404
3680902,Heliconia,Antioquia,2403
3669440,San Lorenzo,Nariño,2394
3669549,San José del Palmar,Chocó,2392
3686120,Colombia,Huila,2388
3792374,Buriticá,Antioquia,2388
3671961,Policarpa,Nariño,2377
3676591,Liborina,Antioquia,2373
3682981,El Tablón,Nariño,2373
3674161,Murindó,Antioquia,2372
3680090,Juradó,Chocó,2351
3674580,Mongua,Boyacá,2322
3673578,Oporapa,Huila,2310
3689291,Balboa,Risaralda,2302
3674576,Monguí,Boyacá,2299
3683508,El Peñol,Nariño,2294
3666436,Uramita,Antioquia,2292
3669358,Cubarral,Meta,2280
3666111,Vergara,Cundinamarca,2267
3684692,El Carmen,Chocó,2258
3674393,Morelia,Caquetá,2257
3685984,Consacá,Nariño,2239
3668631,Santa María,Boyacá,2238
3674012,Nátaga,Huila,2232
3688656,Bolívar,Santander,2230
3689802,Anzoátegui,Tolima,2229
3688499,Briceño,Antioquia,2214
3667880,Socotá,Boyacá,2193
3681732,Guadalupe,Santander,2181
3668023,Simacota,Santander,2156
3688357,Buenos Aires,Cauca,2144
3682465,Firavitoba,Boyacá,2136
3677457,La Sierra,Cauca,2129
3690102,Altamira,Huila,2123
3670966,Ráquira,Boyacá,2120
3671387,Puerto Nariño,Amazonas,2113
3681222,Güicán,Boyacá,2101
3689723,Aratoca,Santander,2101
3688106,Cáchira,Norte de Santander,2097
3668594,Santana,Boyacá,2091
3688433,Buenavista,Quindío,2084
3685418,Cunday,Tolima,2082
3670011,San Calixto,Norte de Santander,2080
3690030,Alvarado,Tolima,2049
3689559,Armenia,Antioquia,2035
3669352,San Luis de Palenque,Casanare,2032
3673275,Palestina,Huila,2027
3769960,Paratebueno,Cundinamarca,2027
3681303,Guayabetal,Cundinamarca,2017
3687335,Carlosama,Nariño,2010
3667516,Támara,Casanare,2007
3674519,Montebello,Antioquia,2007
3676205,Los Córdobas,Córdoba,2007
3792394,Mapiripán,Meta,1993
3680393,Jambaló,Cauca,1972
3690226,Aldana,Nariño,1956
3685529,Cucutilla,Norte de Santander,1950
3675305,Margarita,Bolívar,1939
3687321,Carmen de Carupa,Cundinamarca,1928
3681360,Guatavita,Cundinamarca,1920
3689877,Angelópolis,Antioquia,1917
3734732,Laureles,Tolima,1910
3667701,Supatá,Cundinamarca,1907
3673783,Nóvita,Chocó,1898
3671072,Quipile,Cundinamarca,1896
3666834,Totoró,Cauca,1888
3666526,Ubalá,Cundinamarca,1886
3680616,Iles,Nariño,1879
3668138,Sesquilé,Cundinamarca,1876
3687835,Campamento,Antioquia,1870
3674166,Murillo,Tolima,1860
3670595,Rosas,Cauca,1830
3667373,Tasco,Boyacá,1811
3667218,Tibaná,Boyacá,1802
3672512,Peque,Antioquia,1793
3672295,Piedrancha,Nariño,1788
3670431,Sáchica,Boyacá,1774
3669654,San José,Nariño,1772
3675757,Machetá,Cundinamarca,1742
3680601,Imués,Nariño,1736
3688875,Arboleda,Nariño,1736
3681731,Guadalupe,Antioquia,1734
3669623,San José,Caldas,1724
3688839,Betulia,Santander,1716
3676884,La Uvita,Boyacá,1708
3685540,Cucunubá,Cundinamarca,1699
3682172,Gámeza,Boyacá,1690
3690264,Albán,Cundinamarca,1684
3673386,Paicol,Huila,1681
3666163,Ventaquemada,Boyacá,1680
3675118,Matanza,Santander,1669
3678167,La Peña,Cundinamarca,1667
3670383,Saladoblanco,Huila,1662
3682266,Gachalá,Cundinamarca,1661
3679776,La Belleza,Santander,1649
3680886,Herrán,Norte de Santander,1648
3666550,Tuta,Boyacá,1639
3681832,Guaca,Santander,1637
3669310,San Mateo,Boyacá,1634
3769623,Chivor,Boyacá,1622
3688072,Caicedo,Antioquia,1617
3669895,San Fernando,Bolívar,1615
3667665,Susa,Cundinamarca,1608
3669987,San Carlos de Guaroa,Meta,1604
3685974,Contadero,Nariño,1603
3684689,El Carmen de Chucurí,Santander,1602
3687213,Casabianca,Tolima,1593
3666087,Vianí,Cundinamarca,1586
3689689,Arcabuco,Boyacá,1564
3685794,Corrales,Boyacá,1561
3687084,Castilla La Nueva,Meta,1543
3687231,Cartago,Nariño,1524
3669173,San Pablo de Borbur,Boyacá,1519
3686028,Concepción,Antioquia,1513
3681168,Hacarí,Norte de Santander,1502
3675857,Lourdes,Norte de Santander,1500
3680113,Junín,Cundinamarca,1499
3686918,Cerinza,Boyacá,1499
3666309,Valle de San Juan,Tolima,1486
3665544,Zipacón,Cundinamarca,1480
3682425,Florencia,Cauca,1467
3685571,Cubará,Boyacá,1466
3682030,Giraldo,Antioquia,1464
3675242,Marmato,Caldas,1456
3682358,Fosca,Cundinamarca,1451
3671371,Puerto Parra,Santander,1448
3792408,Santa Genoveva de Docordó,Chocó,1448
3667651,Sutamarchán,Boyacá,1432
3669977,San Cayetano,Norte de Santander,1430
3769988,Sabanalarga,Casanare,1419
3685569,Cucaita,Boyacá,1417
3688087,Cácota,Norte de Santander,1415
3675432,Manta,Cundinamarca,1410
3688170,Cabrera,Cundinamarca,1397
3766939,Bellavista,Chocó,1396
3673590,Onzaga,Santander,1393
3673368,Paispamba,Cauca,1390
3688923,Belmira,Antioquia,1388
3668096,Siachoque,Boyacá,1375
3670447,Saboyá,Boyacá,1375
3679622,La Capilla,Boyacá,1375
3671119,Quetame,Cundinamarca,1374
3668446,Santa Rosalia,Vichada,1363
3686471,Chiscas,Boyacá,1356
3667796,Sotaquirá,Boyacá,1352
3682070,Génova,Nariño,1348
3672997,Pandi,Cundinamarca,1336
3667649,Sutatausa,Cundinamarca,1332
3684189,El Espino,Boyacá,1313
3667288,Tenza,Boyacá,1312
3732273,Los Santos,Santander,1310
3666203,Venecia,Cundinamarca,1307
3668033,Silos,Norte de Santander,1300
3666493,Úmbita,Boyacá,1295
3673695,Nunchía,Casanare,1282
3690582,Abriaquí,Antioquia,1281
3673352,Pajarito,Boyacá,1258
3675191,Marulanda,Caldas,1256
3667772,Suárez,Tolima,1243
3682395,Florián,Santander,1227
3673397,Páez,Boyacá,1220
3678083,La Playa,Norte de Santander,1215
3682329,Frías,Tolima,1215
3674029,Nariño,Cundinamarca,1213
3666092,Vetas,Santander,1210
3667660,Susacón,Boyacá,1207
3674618,Molagavita,Santander,1205
3671538,Puerto Bogotá,Cundinamarca,1200
3680335,Jenesano,Boyacá,1200
3666760,Tres Esquinas,Tolima,1181
3689167,Barranca de Upía,Meta,1177
3672290,Piedras,Tolima,1172
3686262,Ciénega,Boyacá,1172
3675255,Maripí,Boyacá,1143
3688151,Cabuyaro,Meta,1140
3681364,Guataquí,Cundinamarca,1139
3678190,La Paz,Santander,1135
3682400,Floresta,Boyacá,1127
3682243,Galán,Santander,1122
3673849,Nilo,Cundinamarca,1117
3684029,Elías,Huila,1117
3686569,Chinavita,Boyacá,1113
3686851,Chaguaní,Cundinamarca,1108
3681953,Granada,Cundinamarca,1100
3666903,Topaipí,Cundinamarca,1099
3669545,San José de Miranda,Santander,1096
3667731,Sucre,Santander,1095
3685428,Cumbitara,Nariño,1091
3668434,Santa Sofía,Boyacá,1058
3737007,Campo Alegre,Tolima,1052
3681306,Guayabal de Síquima,Cundinamarca,1051
3665547,Zetaquira,Boyacá,1047
3667044,Tipacoque,Boyacá,1036
3686051,Cómbita,Boyacá,1034
3668396,Santiago,Norte de Santander,1032
3667834,Somondoco,Boyacá,1029
3792406,Tibacuy,Cundinamarca,1028
3670058,San Antonio del Tequendama,Cundinamarca,1020
3666905,Tópaga,Boyacá,1014
3733434,El Dorado,Meta,1011
3685840,Coromoro,Santander,1010
3666522,Ubaque,Cundinamarca,1009
3673431,Pachavita,Boyacá,959
3686819,Chámeza,Casanare,948
3681346,Guavatá,Santander,943
3669541,San José de Pare,Boyacá,941
3673041,Pamplonita,Norte de Santander,941
3668990,San Sebastián,Cauca,931
3667205,Tibirita,Cundinamarca,920
3674124,Mutiscua,Norte de Santander,918
3679716,Labranzagrande,Boyacá,902
3667351,Tausa,Cundinamarca,895
3678672,La Jagua del Pilar,La Guajira,894
3673664,Ocamonte,Santander,883
3686530,Chipatá,Santander,868
3680316,Jericó,Boyacá,865
3673730,Nuevo Colón,Boyacá,863
3687394,Carcasí,Santander,862
3669693,San Joaquín,Santander,844
3672895,Páramo,Santander,843
3666964,Togüí,Boyacá,829
3667647,Sutatenza,Boyacá,827
3667805,Soracá,Boyacá,827
3680297,Jesús María,Santander,823
3685943,Coper,Boyacá,814
3690257,Albania,Santander,810
3667685,Suratá,Santander,806
3673372,Paime,Cundinamarca,799
3668221,Sativanorte,Boyacá,792
3686606,Chima,Santander,786
3688462,Bucarasica,Norte de Santander,783
3665991,Villagómez,Cundinamarca,779
3666840,Tota,Boyacá,774
3681175,Gutiérrez,Cundinamarca,772
3681812,Guacamayas,Boyacá,772
3690134,Almeida,Boyacá,754
3671161,Quebradanegra,Cundinamarca,753
3680426,Iza,Boyacá,748
3670443,Sácama,Casanare,743
3682178,Gámbita,Santander,742
3675791,Macanal,Boyacá,734
3688539,Boyacá,Boyacá,731
3686495,Chíquiza,Boyacá,730
3683501,El Peñón,Cundinamarca,728
3673613,Olaya,Antioquia,710
3682653,Enciso,Santander,698
3680308,Jerusalén,Cundinamarca,697
3667310,Tena,Cundinamarca,696
3687751,Campohermoso,Boyacá,695
3672204,Pinchote,Santander,674
3672981,Panqueba,Boyacá,668
3686453,Chivatá,Boyacá,664
3673187,Palmas del Socorro,Santander,657
3686712,Charta,Santander,650
3669238,San Miguel de Sema,Boyacá,647
3688500,Briceño,Boyacá,632
3666921,Tona,Santander,627
3669264,San Miguel,Santander,624
3673845,Nimaima,Cundinamarca,604
3681025,Hato,Santander,600
3671279,Pulí,Cundinamarca,596
3792381,Covarachía,Boyacá,590
3682185,Gama,Cundinamarca,584
3668219,Sativasur,Boyacá,579
3687913,California,Santander,573
3681491,Guapotá,Santander,564
3682279,Fúquene,Cundinamarca,563
3684770,El Calvario,Meta,557
3665879,Viracachá,Boyacá,541
3675780,Macaravita,Santander,538
3682260,Gachantivá,Boyacá,534
3669936,San Eduardo,Boyacá,524
3667806,Sora,Boyacá,508
3670624,Rondón,Boyacá,504
3687953,Caldas,Boyacá,475
3688811,Bituima,Cundinamarca,473
3685994,Confines,Santander,472
3684132,El Guacamayo,Santander,428
3682656,Encino,Santander,412
3667050,Tinjacá,Boyacá,400
3674280,Motavita,Boyacá,392
3686925,Cepitá,Santander,377
3688846,Betéitiva,Boyacá,374
3688169,Cabrera,Santander,363
3673236,Palmar,Santander,360
3672669,Paya,Boyacá,336
3667959,Sipí,Chocó,332
3673635,Oicatá,Boyacá,327
3672143,Pisba,Boyacá,307
3688918,Beltrán,Cundinamarca,296
3666546,Tutazá,Boyacá,292
3668888,Santa Bárbara,Santander,291
3688909,Berbeo,Boyacá,266
3685482,Cuítiva,Boyacá,233
3670934,Recetor,Casanare,205
3666596,Tununguá,Boyacá,178
3688214,Busbanzá,Boyacá,164
3680235,Jordán,Santander,112
3665633,Yuto,Chocó,
3666016,Villa Caro,Norte de Santander,
3666074,La Victoria,Boyacá,
3666413,Uribe,Meta,
3666424,San José de Uré,Córdoba,
3666670,Tuchín,Córdoba,
3666960,Toledo,Antioquia,
3667073,Timbío,Cauca,
3667286,Teorama,Norte de Santander,
3667298,Tenerife,Magdalena,
3667402,Tarazá,Antioquia,
3667548,Talaigua Nuevo,Bolívar,
3668123,Prado-Sevilla,Magdalena,
3668257,Saravena,Arauca,
3668290,San Vicente del Caguán,Caquetá,
3668511,Santa Rosa,Cauca,
3668560,Santa Rita,Chocó,
3668690,Providencia,San Andrés y Providencia,
3668986,San Sebastián de Buenavista,Magdalena,
3669383,San Luis,Antioquia,
3669458,San Juanito,Meta,
3669464,San Juan de Rioseco,Cundinamarca,
3669729,San Jacinto del Cauca,Bolívar,
3670030,San Bernardo,Cundinamarca,
3670042,San Benito,Santander,
3670203,San Ángel,Magdalena,
3670207,San Andrés de Sotavento,Córdoba,
3671248,Punta de Piedras,Magdalena,
3671403,Puerto Meluk,Chocó,
3671671,Pueblo Bello,Cesar,
3672185,Santa Bárbara de Pinto,Magdalena,
3672651,Paz de Río,Boyacá,
3672653,Paz de Ariporo,Casanare,
3673376,Paimadó,Chocó,
3673804,Norosí,Bolívar,
3675538,Managrú,Chocó,
3677755,Ánimas,Chocó,
3677767,La Salina,Casanare,
3678278,La Palma,Cundinamarca,
3681474,Guaranda,Sucre,
3681769,Guachené,Cauca,
3681770,Guachavés,Nariño,
3682022,Girardota,Antioquia,
3683499,El Peñón,Santander,
3684293,El Difícil,Magdalena,
3685712,Coveñas,Sucre,
3685955,Convención,Norte de Santander,
3686162,Coconuco,Cauca,
3686736,Charalá,Santander,
3687903,Calimita,Valle del Cauca,
3688394,Buenavista,Sucre,
3688420,Buenavista,Boyacá,
3688566,Bosconia,Cesar,
3688662,Bolívar,Cauca,
3688716,Bocas de Satinga,Nariño,
3688760,Curbaradó,Chocó,
3688849,Beté,Chocó,
3689804,Anzá,Antioquia,
3689838,Anorí,Antioquia,
3690213,Alejandría,Antioquia,
3756907,Labateca,Norte de Santander,
3763531,La Hormiga,Putumayo,
3792400,Santa Helena del Opón,Santander,
3792401,Carurú,Vaupés,
3810194,Aguada,Santander,
3828519,San José del Fragua,Caquetá,
3829349,Puerto Caicedo,Putumayo,
6792004,Solita,Caquetá,
7523086,Samaná,Caldas,
7546600,Piamonte,Cauca,
8304674,Rionegro,Santander,
8564150,Alpujarra,Tolima,
8564545,Dolores,Tolima,
11885795,Sopetrán,Antioquia,
11886463,Socha,Boyacá,
11886464,Chitaraque,Boyacá,
11896875,San Martín de Loba,Bolívar,
11900793,El Carmen de Atrato,Chocó,
11900983,Puerto Libertador,Córdoba,
11900984,La Apartada,Córdoba,
11901838,San Cayetano,Cundinamarca,
11901840,El Colegio,Cundinamarca,
$csv$, '\n') AS line WHERE line <> '';

-- Official long names, former names and short forms: of the capitals, of the places with more than 100,000
-- inhabitants, and of a few others. The districts: https://en.wikipedia.org/wiki/Districts_of_Colombia.
CREATE TEMPORARY TABLE spelling ON COMMIT DROP AS
    SELECT * FROM (VALUES
        (3688689, 'Bogotá D.C.'), (3688689, 'Bogotá DC'), (3688689, 'Bogotá, Bogotá D.C.'),
        (3688689, 'Bogotá, Cundinamarca'), (3688689, 'Bogotá D.C., Cundinamarca'),
        (3688689, 'Santafé de Bogotá'), (3688689, 'Santafé de Bogotá D.C.'), (3688689, 'Santafé de Bogotá DC'),
        (3688689, 'Santafé de Bogotá, Distrito Capital'), (3688689, 'Santa Fe de Bogotá'),
        (3688689, 'Santa Fe de Bogotá D.C.'), (3688689, 'Santa Fe de Bogotá DC'),
        (3688689, 'Santa Fe de Bogotá, Distrito Capital'),
        (3674962, 'Distrito Especial de Ciencia, Tecnología e Innovación de Medellín'),
        (3687925, 'Santiago de Cali'),
        (3687925, 'Distrito Especial, Deportivo, Cultural, Turístico, Empresarial y de Servicios de Santiago de Cali'),
        (3689147, 'Distrito Especial, Industrial y Portuario de Barranquilla'),
        (3689147, 'Barranquilla, Distrito Especial, Industrial y Portuario'),
        (3689147, 'Barranquilla D.E.I.P.'), (3689147, 'Barranquilla DEIP'),
        (3687238, 'Cartagena de Indias'), (3687238, 'Cartagena de Indias D.T. y C.'), (3687238, 'Cartagena D.T. y C.'),
        (3687238, 'Cartagena de Indias, Distrito Turístico y Cultural'),
        (3687238, 'Distrito Turístico y Cultural de Cartagena de Indias'),
        (3668605, 'Distrito Turístico, Cultural e Histórico de Santa Marta'),
        (3668605, 'Santa Marta, Distrito Turístico, Cultural e Histórico'),
        (3668605, 'Santa Marta D.T.C.H.'), (3668605, 'Santa Marta DTCH'),
        (3685533, 'San José de Cúcuta'), (3672778, 'San Juan de Pasto'), (3665688, 'El Yopal'),
        (3666304, 'Ciudad de los Santos Reyes del Valle de Upar'), (3666304, 'Valle de Upar'),
        (3680656, 'San Bonifacio de Ibagué'), (3680656, 'San Bonifacio de Ibagué del Valle de las Lanzas'),
        (3674453, 'San Jerónimo de Montería'), (3671116, 'San Francisco de Quibdó'),
        (3674654, 'San Miguel de Agreda de Mocoa'), (3671450, 'Puerto Inírida'),
        (3689718, 'Santa Bárbara de Arauca'), (3670745, 'Distrito Especial, Turístico y Cultural de Riohacha'),
        (3670218, 'San Andrés Isla'), (3670218, 'San Andrés Islas'), (3670218, 'San Andrés Isla, San Andrés'),
        (3670218, 'San Andrés, San Andrés Isla'), (3670218, 'San Andrés, San Andrés'),
        (3670218, 'San Andrés, Archipiélago de San Andrés, Providencia y Santa Catalina'),
        (3688451, 'Distrito Especial, Industrial, Portuario, Biodiverso y Ecoturístico de Buenaventura'),
        (3689169, 'Distrito Especial, Portuario, Biodiverso, Industrial y Turístico de Barrancabermeja'),
        (3682018, 'San Juan de Girón'), (3688256, 'Buga'), (3688256, 'Buga, Valle del Cauca'), (3688256, 'Buga, Valle'),
        (3666640, 'San Andrés de Tumaco'), (3674597, 'Mompox'), (3674597, 'Santa Cruz de Mompox'),
        (3674597, 'Santa Cruz de Mompós'), (3666939, 'Tolú'), (3666519, 'Ubaté'), (3675252, 'Mariquita'),
        (3687318, 'El Carmen de Viboral'), (3684666, 'Carmen de Bolívar'), (3668323, 'El Santuario'),
        (3670849, 'El Retiro'), (3682573, 'El Espinal'), (3667887, 'El Socorro'), (3792383, 'Codazzi'),
        (3669138, 'San Pedro de los Milagros'), (3668302, 'San Vicente Ferrer'), (3685126, 'Don Matías'),
        (3667991, 'Sincé')
    ) AS spelling (id, text);

-- A text that several places have means the one with ten times the population of the next one, or else none. An
-- unknown population counts as the median of the known ones, 4,805.
INSERT INTO cities SELECT id, name, department, population, id::text, id::text FROM place;
INSERT INTO city_aliases
    SELECT key, id FROM (
        SELECT key, id, population,
            lead(population) OVER (PARTITION BY key ORDER BY population DESC) AS next,
            row_number() OVER (PARTITION BY key ORDER BY population DESC) AS rank
        FROM (
            SELECT DISTINCT fold_name(text) AS key, place.id, coalesce(population, 4805) AS population
            FROM place CROSS JOIN LATERAL (
                SELECT name UNION ALL SELECT name || ' ' || department
                UNION ALL SELECT name || ' Valle' WHERE department = 'Valle del Cauca'
                UNION ALL SELECT name || ' Guajira' WHERE department = 'La Guajira'
                UNION ALL SELECT text FROM spelling WHERE spelling.id = place.id) AS candidate (text)
        ) AS meaning
    ) AS ranked
    WHERE rank = 1 AND (next IS NULL OR population >= 10 * next);
UPDATE cities SET label = shown.label, key = fold_name(shown.label)
    FROM (
        SELECT place.id, CASE WHEN city_id = place.id THEN name ELSE name || ', ' || department END AS label
        FROM place LEFT JOIN city_aliases ON key = fold_name(name)) AS shown
    WHERE shown.id = cities.id;
ANALYZE cities, city_aliases;

-- Returns the place that a folded text means, or no row. `Colombia` may follow the name. PostgreSQL inlines it.
CREATE FUNCTION find_city(folded text) RETURNS SETOF cities LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT cities.* FROM city_aliases JOIN cities ON id = city_id
    WHERE city_aliases.key IN (folded, regexp_replace(folded, ' colombia$', ''))
    -- Puerto Colombia is a place itself.
    ORDER BY length(city_aliases.key) DESC LIMIT 1
$$;

ALTER TABLE users
    -- The place; null outside of Colombia, and if `city` means none.
    ADD COLUMN city_id bigint REFERENCES cities,
    -- What lists show: the label of the place, or else `city`.
    ADD COLUMN city_name text NOT NULL DEFAULT '';
CREATE INDEX users_city_id ON users (city_id);

-- Finds the place of a player. It is a trigger because processes of the version before insert players as well. Like
-- this version, they write the folded `city` into `city_key`, where it stays if it means no place.
CREATE FUNCTION locate_player() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_abroad boolean := fold_name(NEW.country) NOT IN ('colombia', 'republica de colombia', 'co', 'col');
    -- With a country that is a department, this is `name, department`.
    whole text := CASE WHEN is_abroad THEN NEW.city || ', ' || NEW.country ELSE NEW.city END;
    place cities;
BEGIN
    SELECT * INTO place FROM find_city(fold_name(whole));
    NEW.city_id := place.id;
    IF place.id IS NOT NULL THEN
        NEW.city_name := place.label;
        NEW.city_key := place.key;
    ELSIF is_abroad AND EXISTS (SELECT FROM find_city(fold_name(NEW.city))) THEN
        -- A namesake abroad.
        NEW.city_name := whole;
        NEW.city_key := fold_name(whole);
    ELSE
        NEW.city_name := NEW.city;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER users_located BEFORE INSERT OR UPDATE OF city, city_key, country ON users
    FOR EACH ROW EXECUTE FUNCTION locate_player();

-- As before, and also where only `locate_player` changes the key.
CREATE OR REPLACE TRIGGER users_moved AFTER UPDATE OF city, city_key, country ON users
    FOR EACH ROW WHEN (OLD.city_key IS DISTINCT FROM NEW.city_key) EXECUTE FUNCTION move_player();
